/** What a participant must not do on a data channel; pure, runs in the browser tab. */

/** The other side broke the protocol; the text, after its name, says how. It costs it this data channel and nothing else. */
export class Violation extends Error {
  override readonly name = "Violation";
}
