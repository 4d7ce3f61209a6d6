/** The small picture or line of an array; the colours of a line are the theme's. */

import type { Preview } from "../overview";
import { element } from "./dom";

const SVG = "http://www.w3.org/2000/svg";
/** Of a line's drawing, which is stretched to whatever room there is. */
const [WIDTH, HEIGHT] = [128, 64];
/** Kept free above and below, for the width of the line. */
const MARGIN = 3;

/** A canvas of the picture's own size, or a drawing of the line; a decoration, what it is of is said in words. */
export function drawPreview(preview: Preview): HTMLCanvasElement | SVGSVGElement {
  return preview.dtype === "|u1" ? picture(preview) : line(preview);
}

function picture({ shape: [height = 1, width = 1, planes = 1], body }: Preview): HTMLCanvasElement {
  const canvas = element("canvas", "picture", { "aria-hidden": "true" });
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  const { data } = image;
  for (let from = 0, to = 0; to < data.length; from += planes, to += 4) {
    for (let colour = 0; colour < 3; colour++) data[to + colour] = body[from + (colour % planes)] ?? 0;
    data[to + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

function line({ shape: [length = 1], body }: Preview): SVGSVGElement {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "forge-rtc-line");
  drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("focusable", "false");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", pathOf(points(body, length)));
  drawing.append(path);
  return drawing;
}

function points(body: Uint8Array, length: number): number[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  return Array.from({ length }, (_, index) => view.getFloat32(4 * index, true));
}

/** The line through these points, with gaps where they are NaN. */
export function pathOf(values: number[]): string {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const y = (value: number) => {
    const part = high > low ? (value - low) / (high - low) : 0.5;
    return HEIGHT - MARGIN - part * (HEIGHT - 2 * MARGIN);
  };
  const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
  let drawn = false;
  const parts = values.map((value, index) => {
    if (!Number.isFinite(value)) {
      drawn = false;
      return "";
    }
    const place = `${round(index * step)} ${round(y(value))}`;
    const part = drawn ? `L${place}` : `M${place}h0.01`; // a point of its own is a dot
    drawn = true;
    return part;
  });
  return parts.join("");
}

const round = (number: number) => Math.round(number * 100) / 100;
