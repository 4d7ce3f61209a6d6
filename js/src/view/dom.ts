/** Building DOM without markup strings: names in a room are whatever their owners typed. */

export type Attributes = Record<string, string | boolean>;

/** An element with a prefixed class; text children become text nodes, never markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name: string,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (name) made.className = name.replace(/(^| )/g, "$1forge-rtc-");
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(attribute, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** A button that says what it does; `type` keeps it from submitting a form that a page may wrap around the cell. */
export function button(name: string, label: (Node | string)[], click: () => void): HTMLButtonElement {
  const made = element("button", name, { type: "button" }, ...label);
  made.addEventListener("click", click);
  return made;
}

export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text; // an equal text set again is announced again
}

/** Set an attribute, or remove it where there is no value. */
export function setAttribute(target: Element, name: string, value: string | null): void {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** Make `parent` hold exactly these children in this order, moving only what is out of place (a moved video stops). */
export function arrange(parent: Element, children: readonly Element[]): void {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    const present = parent.children[index];
    if (present !== child) parent.insertBefore(child, present ?? null);
  });
}
