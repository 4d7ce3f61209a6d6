// Front end of the comm's way: arrays as binary buffers of a widget's messages, at most two under way (browser tab).

const UNDER_WAY = 2;
const now = () => (performance.timeOrigin + performance.now()) / 1000;

function bytes(size) {
  const made = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(made.subarray(at, Math.min(size, at + 65536)));
  return made.buffer;
}

async function render({ model, el }) {
  el.textContent = "arrays over the comm";
  const arrived = [];
  let wake = () => {};
  let underWay = 0;
  let pending;

  let answered = () => {};
  let answer;

  model.on("msg:custom", ({ kind, result, error }, buffers) => {
    if (kind === "answer") {
      answered({ result, error });
    } else if (kind === "taken") {
      underWay -= 1;
    } else {
      if (kind === "array") {
        // A copy, since the view begins anywhere and a Float64Array cannot.
        const { buffer, byteOffset, byteLength } = buffers[0];
        const value = new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength));
        model.send({ kind: "taken" });
        arrived.push({ kind, value, time: now() });
      } else {
        arrived.push({ kind, value: buffers[0], time: now() });
      }
    }
    wake();
  });

  const woken = () => new Promise((resolve) => (wake = resolve));
  async function next() {
    while (!arrived.length) await woken();
    return arrived.shift();
  }
  async function send(kind, buffer) {
    while (kind === "array" && underWay >= UNDER_WAY) await woken();
    underWay += kind === "array";
    model.send({ kind }, undefined, buffer ? [buffer] : []);
  }

  const functions = {
    async stream({ seconds }) {
      const array = bytes(8 * 1024 * 1024);
      const until = now() + seconds;
      while (now() < until) await send("array", array);
      await send("end");
    },
    async send_array() {
      const array = bytes(8 * 1024 * 1024);
      const begun = now();
      await send("array", array);
      await send("end");
      return begun;
    },
    async receive() {
      const first = await next();
      let last = first.time;
      let size = 0;
      for (let message = await next(); message.kind !== "end"; message = await next()) {
        last = message.time;
        size += message.value.byteLength;
      }
      return { first: first.value.byteLength, bytes: size, seconds: last - first.time, last };
    },
    async echo() {
      for (let message = await next(); message.kind !== "end"; message = await next())
        await send(message.kind, message.value);
    },
    async round_trips({ size, count }) {
      const message = bytes(size);
      const times = [];
      for (let n = 0; n < count; n += 1) {
        const begun = now();
        await send("ping", message);
        await next();
        times.push(now() - begun);
      }
      await send("end");
      times.sort((a, b) => a - b);
      return Math.round(1e6 * times[Math.floor(times.length / 2)]) / 1000;
    },
  };

  window.benchEnd = {
    begin(name, args) {
      pending = functions[name](args);
      pending.catch(() => {}); // `result` has it
    },
    result: () => pending,
  };
  // The kernel's half: the bench asks it through its widget, too, as a client of its own would get all arrays as well.
  window.benchKernel = {
    begin(name, args) {
      answer = new Promise((resolve) => (answered = resolve));
      model.send({ kind: "begin", name, args });
    },
    async result() {
      const { result, error } = await answer;
      if (error) throw new Error(error);
      return result;
    },
  };
}

export default { render };
