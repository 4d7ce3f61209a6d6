/** An `EventTarget` whose events have types, for those that authors of pages hold; pure, runs in the browser tab. */

type Listener<E> = ((event: E) => void) | { handleEvent(event: E): void };

/** `Events` names each event's type. */
export class TypedEvents<Events extends { [Type in keyof Events]: Event }> extends EventTarget {
  override addEventListener<K extends keyof Events & string>(
    type: K,
    listener: Listener<Events[K]> | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void {
    super.addEventListener(type, listener, options);
    if (listener) this.listened(type);
  }

  /** Somebody listens to events of this type from now on. */
  protected listened(_type: string): void {}
}
