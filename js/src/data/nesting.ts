/** How deep a JSON text is nested, without parsing it; pure, runs in the browser tab.
 *
 * `JSON.parse` takes dozens of bytes for each list that is not closed yet: a page has no memory for millions of them.
 */

const [QUOTE, BACKSLASH, LIST, LIST_END, OBJECT, OBJECT_END] = [...'"\\[]{}'].map((c) => c.charCodeAt(0));

/** Whether UTF-8 has more than `most` lists and objects inside each other; anything may be said of what is no JSON. */
export function isNestedDeeper(json: Uint8Array, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) at = endOfString(json, at + 1);
    else if (byte === LIST_END || byte === OBJECT_END) depth--;
    else if ((byte === LIST || byte === OBJECT) && ++depth > most) return true;
  }
  return false;
}

/** The place of the quote that ends it. */
function endOfString(json: Uint8Array, at: number): number {
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
