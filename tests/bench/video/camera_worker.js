// Paints the pictures of the made-up camera and writes them into its track; runs in a worker of the page (camera.js).

const NOISY = 4; // versions of the scene that differ in sensor noise: without noise a codec has nothing to do
const MARGIN = 64;

/** Smooth noise of several octaves, as in nature: large shapes strong, small ones weak. */
function scene(width, height, coarse, strength) {
  const plane = new Float32Array(width * height).fill(128);
  for (let cell = coarse; cell >= 4; cell /= 2, strength *= 0.62) addNoise(plane, width, height, cell, strength);
  return plane;
}

/** Random values at the corners of cells, and between them what lies between. */
function addNoise(plane, width, height, cell, strength) {
  const columns = Math.ceil(width / cell) + 2;
  const grid = new Float32Array(columns * (Math.ceil(height / cell) + 2));
  for (let i = 0; i < grid.length; i++) grid[i] = strength * (Math.random() - 0.5);
  const line = new Float32Array(columns);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / cell) * columns;
    const fy = (y % cell) / cell;
    for (let i = 0; i < columns; i++) line[i] = grid[row + i] + (grid[row + columns + i] - grid[row + i]) * fy;
    for (let i = 0, x = y * width; i < columns - 1; i++) {
      const step = (line[i + 1] - line[i]) / cell;
      const end = Math.min(x + cell, (y + 1) * width);
      for (let value = line[i]; x < end; x++, value += step) plane[x] += value;
    }
  }
}

function bytes(plane, noise) {
  const result = new Uint8Array(plane.length);
  for (let i = 0; i < plane.length; i++) {
    const value = plane[i] + (noise && noise * (Math.random() - 0.5));
    result[i] = value < 16 ? 16 : value > 235 ? 235 : value;
  }
  return result;
}

/** Copies a rectangle between planes; all in pixels of these planes. */
function copy(from, stride, sx, sy, to, offset, toStride, dx, dy, width, height) {
  for (let y = 0; y < height; y++) {
    const start = (sy + y) * stride + sx;
    to.set(from.subarray(start, start + width), offset + (dy + y) * toStride + dx);
  }
}

class Painter {
  constructor({ width, height, stamp }) {
    Object.assign(this, { width, height, stamp });
    this.wide = width + 2 * MARGIN;
    const high = height + 2 * MARGIN;
    const luma = scene(this.wide, high, 256, 150);
    this.luma = Array.from({ length: NOISY }, () => bytes(luma, 10));
    this.chroma = [0, 1].map(() => bytes(scene(this.wide / 2, high / 2, 128, 60), 0));
    this.pixels = new Uint8Array((width * height * 3) / 2);
  }

  /** The scene pans, and a part of it moves before it another way, as a person does. */
  paint(number) {
    const { width, height } = this;
    const pan = (speed) => 2 * Math.round((MARGIN / 2) * (1 + Math.sin(number / speed)));
    this.#rectangle(number, pan(47), pan(61), 0, 0, width, height);
    const left = 4 * Math.round((width / 12) * (1 + Math.sin(number / 29)));
    this.#rectangle(number, 2 * MARGIN, 0, left, height / 2, width / 4, (height * 3) / 8);
    const now = Date.now();
    this.#stamp(now % 2 ** 32);
    return now;
  }

  #rectangle(number, sx, sy, dx, dy, width, height) {
    const even = (n) => n - (n % 4);
    [sx, sy, dx, dy, width, height] = [sx, sy, dx, dy, width, height].map(even);
    const luma = this.luma[number % NOISY];
    copy(luma, this.wide, sx, sy, this.pixels, 0, this.width, dx, dy, width, height);
    const size = this.width * this.height;
    for (const [n, plane] of this.chroma.entries()) {
      const halves = [sx, sy].map((v) => v / 2);
      const target = [this.pixels, size + (n * size) / 4, this.width / 2];
      copy(plane, this.wide / 2, ...halves, ...target, dx / 2, dy / 2, width / 2, height / 2);
    }
  }

  /** 32 bits of milliseconds and 8 of checksum, as black and white squares; stamps.py reads them. */
  #stamp(milliseconds) {
    const { columns, rows, across, left, top } = this.stamp;
    const parts = [24, 16, 8, 0].map((shift) => (milliseconds / 2 ** shift) & 255);
    const check = parts.reduce((sum, part, n) => sum + part * (2 * n + 1), 0x5a) & 255;
    const bits = [...parts, check].flatMap((part) => [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (part >> bit) & 1));
    const edge = (n) => 2 * Math.round((n * this.width) / across / 2);
    for (let n = 0; n < columns * rows; n++) {
      const [x, y] = [left + (n % columns), top + Math.floor(n / columns)];
      this.#fill(edge(x), edge(y), edge(x + 1), edge(y + 1), bits[n] ? 235 : 16);
    }
  }

  #fill(left, top, right, bottom, value) {
    const { width, height, pixels } = this;
    for (let y = top; y < bottom; y++) pixels.fill(value, y * width + left, y * width + right);
    for (const plane of [width * height, (width * height * 5) / 4]) {
      for (let y = top / 2; y < bottom / 2; y++) {
        pixels.fill(128, plane + (y * width + left) / 2, plane + (y * width + right) / 2);
      }
    }
  }
}

onmessage = ({ data: { writable, options } }) => {
  onmessage = () => postMessage(counts);
  const painter = new Painter(options);
  const writer = writable.getWriter();
  const counts = { drawn: 0, late: 0, full: 0, ended: false };
  const period = 1000 / options.fps;
  const colorSpace = { matrix: "smpte170m", primaries: "smpte170m", transfer: "smpte170m", fullRange: false };
  const begin = performance.now();
  let number = 0;
  writer.closed.catch(() => {}).then(() => {
    counts.ended = true;
  });

  function next() {
    if (counts.ended) return close();
    const due = Math.floor((performance.now() - begin) / period);
    counts.late += Math.max(0, due - number); // the machine was too slow for these
    number = Math.max(due, number);
    if (writer.desiredSize > 0) draw();
    else counts.full += 1;
    number += 1;
    setTimeout(next, Math.max(0, begin + number * period - performance.now()));
  }

  function draw() {
    const now = painter.paint(number);
    const { width: codedWidth, height: codedHeight } = options;
    const timestamp = Math.round(performance.now() * 1000);
    const frame = new VideoFrame(painter.pixels, { format: "I420", codedWidth, codedHeight, timestamp, colorSpace });
    writer.write(frame).catch(() => {
      counts.ended = true;
    });
    counts.drawn += 1;
    counts.last = now;
  }

  postMessage(counts);
  next();
};
