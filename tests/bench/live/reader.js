// Reads the stamps of what a page shows, as `stamps.py` has them, and how old each is when it is first seen (browser tab).
// `find` gives the element: a video, a canvas or an image. All ways are looked at alike, once a frame of the screen.
(find) => {
  const strip = new OffscreenCanvas(60, 6).getContext("2d", { willReadFrequently: true });
  strip.imageSmoothingQuality = "high";
  const ages = [];
  let last = -1;
  const stampOf = (shown) => {
    const width = shown.videoWidth || shown.naturalWidth || shown.width;
    const height = shown.videoHeight || shown.naturalHeight || shown.height;
    if (!width || !height) return null;
    const side = width / 24;
    strip.drawImage(shown, 2 * side, side, 20 * side, 2 * side, 0, 0, 60, 6);
    const { data } = strip.getImageData(0, 0, 60, 6);
    const bytes = [0, 0, 0, 0, 0];
    for (let n = 0; n < 40; n++) {
      const at = 4 * (60 * (3 * Math.floor(n / 20) + 1) + 3 * (n % 20) + 1);
      if (data[at + 1] > 127) bytes[n >> 3] |= 128 >> (n & 7);
    }
    const check = bytes.slice(0, 4).reduce((sum, byte, n) => sum + byte * (2 * n + 1), 0x5a) & 255;
    return check === bytes[4] ? new DataView(new Uint8Array(bytes).buffer).getUint32(0) : null;
  };
  const look = () => {
    const shown = find();
    const stamp = shown && stampOf(shown);
    if (stamp !== null && stamp !== undefined && stamp !== last) {
      last = stamp;
      ages.push(((Date.now() % 2 ** 32) - stamp + 2 ** 32) % 2 ** 32);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.benchAges = () => ages.splice(0);
}
