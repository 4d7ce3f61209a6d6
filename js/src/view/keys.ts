/** Which keys the widget takes and which it leaves to the notebook around it; runs in the browser tab. */

/** JupyterLab takes Enter and the arrow keys from the buttons and menus inside a cell, unless told not to: by the element
 * that has the focus, since a shortcut for `:focus` is found before those around it are asked. Keys with a modifier stay its
 * own: Shift+Enter runs the cell, also when Camera, clicked a moment ago, still has the focus.
 */
export function keepPlainKeys(root: HTMLElement, signal: AbortSignal): void {
  const decide = (event: KeyboardEvent) => {
    if (!(event.target instanceof Element) || !root.contains(event.target)) return;
    const modified = event.shiftKey || event.ctrlKey || event.altKey || event.metaKey;
    if (modified && event.key !== "Tab") event.target.removeAttribute("data-lm-suppress-shortcuts");
    else event.target.setAttribute("data-lm-suppress-shortcuts", "true");
  };
  // Lumino listens on the document while the event goes down: the window comes before it.
  window.addEventListener("keydown", decide, { capture: true, signal });
}
