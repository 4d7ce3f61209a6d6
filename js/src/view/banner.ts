/** Says what went wrong and what to do about it, with a button where one helps. */

import type { Problem } from "../media";
import { button, element, setText } from "./dom";
import { icon } from "./icons";

export class ErrorBanner {
  /** Always in the document: a screen reader announces only what changes inside an alert that it knows. */
  readonly root = element("div", "alert", { role: "alert" });
  readonly #box: HTMLElement;
  readonly #what = element("strong", "what");
  readonly #advice = element("span", "advice");
  readonly #retry: HTMLButtonElement;
  readonly #dismiss: HTMLButtonElement;

  constructor(actions: { dismiss(): void; retry(): void }) {
    this.#retry = button("retry", ["Try again"], () => actions.retry());
    this.#dismiss = button("dismiss", [icon("close")], () => actions.dismiss());
    this.#dismiss.setAttribute("aria-label", "Dismiss");
    const text = element("div", "error-text", {}, this.#what, this.#advice);
    this.#box = element("div", "error", {}, icon("alert"), text, this.#retry, this.#dismiss);
  }

  /** Show a problem, with the button for what can be done about it here. */
  update(problem: Problem | null, action: "dismiss" | "retry" | "none"): void {
    if (!problem) {
      this.#box.remove();
      return;
    }
    setText(this.#what, problem.what);
    setText(this.#advice, problem.advice);
    this.#retry.hidden = action !== "retry";
    this.#dismiss.hidden = action !== "dismiss";
    if (!this.#box.isConnected) this.root.append(this.#box);
  }
}
