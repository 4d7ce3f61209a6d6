// One end of a channel in a page, with the module for authors of pages (browser tab).

(() => {
  const PATIENCE = 60;
  const END = new TextEncoder().encode("end");
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  const isEnd = (value) => value instanceof ArrayBuffer && value.byteLength === END.length;
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  let room;
  let channel;
  let module;
  let pending;

  function bytes(size) {
    const made = new Uint8Array(size);
    for (let at = 0; at < size; at += 65536) crypto.getRandomValues(made.subarray(at, Math.min(size, at + 65536)));
    return made;
  }

  const array = () => new module.NdArray("<f8", [1024, 1024], bytes(8 * 1024 * 1024));
  const next = () => channel.recv({ timeout: PATIENCE });

  const functions = {
    async join({ url, token, id }) {
      module = await import(new URL("forge-rtc/static/forge_rtc.js", url).href);
      room = await module.joinRoom(id, { server: url, token });
      channel = await room.channel("bench");
    },
    async ready() {
      const until = now() + PATIENCE;
      while (!room.participants.some(({ id, channels }) => id !== room.me.id && channels.includes("bench"))) {
        if (now() > until) throw new Error("nobody opened the channel");
        await pause(20);
      }
      await channel.send("hello", { timeout: PATIENCE });
      await next();
    },
    async stream({ seconds }) {
      const value = array();
      const until = now() + seconds;
      while (now() < until) await channel.send(value);
      await channel.send(END.buffer);
    },
    async send_array() {
      const value = array();
      const begun = now();
      await channel.send(value);
      await channel.send(END.buffer);
      return begun;
    },
    async receive() {
      const first = (await next()).bytes.byteLength;
      const begun = now();
      let last = begun;
      let size = 0;
      for (let value = await next(); !isEnd(value); value = await next()) {
        last = now();
        size += value.bytes.byteLength;
      }
      return { first, bytes: size, seconds: last - begun, last };
    },
    async echo() {
      for (let value = await next(); !isEnd(value); value = await next()) await channel.send(value);
    },
    async round_trips({ size, count }) {
      const message = bytes(size).buffer;
      const times = [];
      for (let n = 0; n < count; n += 1) {
        const begun = now();
        await channel.send(message);
        await next();
        times.push(now() - begun);
      }
      await channel.send(END.buffer);
      times.sort((a, b) => a - b);
      return Math.round(1e6 * times[Math.floor(times.length / 2)]) / 1000;
    },
    async leave() {
      room.leave();
    },
  };

  window.benchEnd = {
    begin(name, args) {
      pending = functions[name](args);
      pending.catch(() => {}); // `result` has it
    },
    result: () => pending,
  };
})();
