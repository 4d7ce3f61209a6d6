/** The harness page: shows the widget with a made-up model, and made-up people in the same page.
 *
 * Parameters: people, kernels, cameras (how many people have one), width, theme, status, detail, error.
 */

import { Session } from "../../src/session";
import type { Access } from "../../src/signaling";
import makeWidget from "../../src/widget";

const NAMES = [
  "Ada Lovelace",
  "Emmy",
  "Grace Hopper with a rather long name that does not fit",
  "孫 正義",
  "Ноам",
  '<b>bold</b> & "quoted"',
  "Sofia K.",
  "Anonymous Io",
  "Chien-Shiung",
  "Maryam",
  "Katherine",
];
const options = new URLSearchParams(location.search);
const number = (name: string, standard: number) => Number(options.get(name) ?? standard);

/** A camera whose picture is a colour that moves. */
function paintedCamera(hue: number): MediaStream {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 360];
  const context = canvas.getContext("2d");
  let step = 0;
  setInterval(() => {
    if (!context) return;
    step += 1;
    const gradient = context.createLinearGradient(0, 0, 640, 360);
    gradient.addColorStop(0, `hsl(${hue} 45% ${45 + 10 * Math.sin(step / 10)}%)`);
    gradient.addColorStop(1, `hsl(${hue + 40} 50% 25%)`);
    context.fillStyle = gradient;
    context.fillRect(0, 0, 640, 360);
    context.fillStyle = `hsl(${hue} 30% 80%)`;
    context.beginPath();
    context.arc(320, 150, 60, 0, 7);
    context.ellipse(320, 360, 120, 140, 0, 0, 7);
    context.fill();
  }, 100);
  return canvas.captureStream(10);
}

function bot(name: string): Session {
  const socketUrl = (room: string) => `ws://${location.host}/forge-rtc/ws/webrtc?room=${room}`;
  const access: Access = { socketUrl, ticket: async () => name };
  const session = new Session("meeting-123", access);
  session.start();
  return session;
}

async function invite(): Promise<void> {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  for (let i = 0; i < number("kernels", 1); i++) bot(`kernel:Python ${i + 1}`);
  const people = number("people", 2);
  for (let i = 0; i < people; i++) {
    const session = bot(NAMES[i % NAMES.length] ?? "Somebody");
    navigator.mediaDevices.getUserMedia = async (constraints) =>
      constraints?.video ? paintedCamera(i * 47) : real(constraints);
    if (i < number("cameras", people)) await session.media.switchOn("camera");
    if (i % 3 === 1) await session.media.switchOn("microphone");
  }
  navigator.mediaDevices.getUserMedia = real;
  const refuse = options.get("error");
  if (refuse) navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", refuse));
}

function fakeModel() {
  const traits: Record<string, string> = {
    room_id: "meeting-123",
    kernel_id: "",
    status: options.get("status") ?? "joined",
    detail: options.get("detail") ?? "",
  };
  return { get: (name: string) => traits[name] ?? "", on() {}, off() {}, send() {} };
}

const cell = document.getElementById("cell");
if (cell) {
  cell.style.width = `${number("width", 900)}px`;
  document.body.dataset.theme = options.get("theme") ?? "";
  await invite();
  const widget = makeWidget();
  widget.render({ model: fakeModel() as never, el: cell, signal: new AbortController().signal });
}
