// The harness: the widget in a page of its own, with people who are made up. `npm run harness`, then open the address.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import * as esbuild from "esbuild";
import { WebSocketServer } from "ws";
import { Hub } from "./hub.mjs";

const here = new URL(".", import.meta.url).pathname;

async function bundle() {
  const { outputFiles } = await esbuild.build({
    entryPoints: [`${here}page.ts`, `${here}../../src/widget.css`],
    outdir: "/",
    bundle: true,
    format: "esm",
    write: false,
  });
  return new Map(outputFiles.map(({ path, text }) => [path.split("/").pop(), text]));
}

const TYPES = { html: "text/html; charset=utf-8", css: "text/css", js: "text/javascript" };

const server = createServer(async (request, response) => {
  const name =
    request.url === "/" || request.url?.startsWith("/?") ? "page.html" : request.url?.slice(1).split("?")[0];
  if (name === "forge-rtc/api/health") return response.end('{"status": "ok"}');
  const body = name === "page.html" ? await readFile(`${here}page.html`) : (await bundle()).get(name ?? "");
  if (body === undefined) return response.writeHead(404).end();
  response.setHeader("Content-Type", TYPES[name?.split(".").pop() ?? "html"] ?? "text/plain");
  response.end(body);
});
const hub = new Hub();
new WebSocketServer({ server }).on("connection", (socket, request) => {
  const room = new URL(request.url ?? "", "http://harness").searchParams.get("room") ?? "room";
  const connection = hub.connect(room, (message) => socket.send(JSON.stringify(message)));
  socket.on("message", (frame) => connection.receive(JSON.parse(String(frame))));
  socket.on("close", () => connection.close());
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}/?people=3&kernels=1\n`);
});
