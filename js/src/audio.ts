/** Plays what the others say, once a tab, however many views show the room; runs in the browser tab. */

export class AudioSink {
  readonly #changed: () => void;
  readonly #players = new Map<string, HTMLAudioElement>();
  #blocked = false;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** True where the browser wants a click before it plays sound. */
  get blocked(): boolean {
    return this.#blocked;
  }

  play(key: string, stream: MediaStream): void {
    const player = this.#players.get(key) ?? new Audio();
    this.#players.set(key, player);
    if (player.srcObject !== stream) player.srcObject = stream;
    void this.#start(player);
  }

  stop(key: string): void {
    const player = this.#players.get(key);
    if (!player) return;
    this.#players.delete(key);
    player.pause();
    player.srcObject = null;
    if (this.#players.size === 0) this.#setBlocked(false);
  }

  /** To be called in a click. */
  unblock(): void {
    this.#setBlocked(false);
    for (const player of this.#players.values()) void this.#start(player);
  }

  close(): void {
    for (const key of [...this.#players.keys()]) this.stop(key);
  }

  async #start(player: HTMLAudioElement): Promise<void> {
    try {
      await player.play();
    } catch (error) {
      // AbortError only says that another stream was set meanwhile.
      if (error instanceof DOMException && error.name === "NotAllowedError") this.#setBlocked(true);
    }
  }

  #setBlocked(blocked: boolean): void {
    if (this.#blocked === blocked) return;
    this.#blocked = blocked;
    this.#changed();
  }
}
