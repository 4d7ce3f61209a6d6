/** Tells tiles whether a person can see them, so that nothing is sent that nobody looks at. */

/** A tile that is out of sight for less than this goes on: scrolling past must not stop and start it. */
const LINGER = 1_000;

interface Watched {
  inSight: boolean;
  shown: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
  notify(shown: boolean): void;
}

export class Visibility {
  readonly #watched = new Map<Element, Watched>();
  readonly #observer: IntersectionObserver;

  constructor(signal: AbortSignal) {
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const watched = this.#watched.get(target);
        if (watched) watched.inSight = isIntersecting;
      }
      this.#review();
    });
    document.addEventListener("visibilitychange", () => this.#review(), { signal });
    signal.addEventListener("abort", () => {
      this.#observer.disconnect();
      for (const target of [...this.#watched.keys()]) this.forget(target);
    });
  }

  watch(target: Element, notify: (shown: boolean) => void): void {
    this.#watched.set(target, { inSight: false, shown: false, timer: undefined, notify });
    this.#observer.observe(target);
  }

  forget(target: Element): void {
    clearTimeout(this.#watched.get(target)?.timer);
    this.#watched.delete(target);
    this.#observer.unobserve(target);
  }

  #review(): void {
    const looking = document.visibilityState === "visible";
    for (const watched of this.#watched.values()) this.#decide(watched, looking && watched.inSight);
  }

  #decide(watched: Watched, visible: boolean): void {
    if (visible) {
      clearTimeout(watched.timer);
      watched.timer = undefined;
      this.#show(watched, true);
    } else if (watched.shown && watched.timer === undefined) {
      watched.timer = setTimeout(() => {
        watched.timer = undefined;
        this.#show(watched, false);
      }, LINGER);
    }
  }

  #show(watched: Watched, shown: boolean): void {
    if (watched.shown === shown) return;
    watched.shown = shown;
    watched.notify(shown);
  }
}
