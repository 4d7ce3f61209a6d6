/** The anywidget module that a notebook loads: wiring only; runs in the browser tab. */

import type { AnyModel } from "@anywidget/types";
import { Attachment } from "./attachment";
import { KernelLink, type Traits } from "./kernel_link";
import { RoomView } from "./view/room";

interface RenderProps {
  model: AnyModel<Traits>;
  el: HTMLElement;
  signal: AbortSignal;
}

/** Show the room; the view's signal takes everything down again. */
function render({ model, el, signal }: RenderProps): void {
  const update = () => {
    if (signal.aborted) return;
    view.update({
      room: link.get("room_id"),
      state: attachment.state,
      session: attachment.session,
      failure: attachment.failure,
    });
  };
  const link = new KernelLink(model, signal, {
    changed: () => attachment.update(),
    refused: () => attachment.refused(),
  });
  const attachment = new Attachment(link, signal, update);
  const view = new RoomView(el, signal, () => attachment.retry());
  void attachment.start();
}

export default () => ({ render });
