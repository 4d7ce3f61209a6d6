"""The bar of a message that takes long, in a notebook's kernel (test process; the kernel is one of the session's server)."""

from __future__ import annotations

from tests.kernel.others import channel_name
from tests.kernel.rooms import Join
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, wait_for

JOIN = """
import ipywidgets, numpy as np
import forge_rtc_nb as rtc
from forge_rtc_nb.kernel import progress
from ipywidgets.widgets.widget import _instances
room = rtc.join({room!r}, name="notebook")
ch = room.channel({name!r}, maxsize=1)
room.wait_for("ann")
def bars():
    return [(w.value, w.max) for w in _instances.values() if isinstance(w, ipywidgets.FloatProgress)]
def labels():
    return [w.value for w in _instances.values() if isinstance(w, ipywidgets.Label)]
"""


def test_a_notebook_shows_bars_as_widgets(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    name = channel_name()
    with join(room_id, name="ann") as room, RemoteKernel(jupyter.url, jupyter.token) as notebook:
        channel = room.channel(name, maxsize=1)
        notebook.run(JOIN.format(room=room_id, name=name))
        wait_for(lambda: channel.participants, what="the notebook has the channel")
        notebook.run("ch.send(np.zeros(2_000_000, np.uint8)); seen = bars()")
        assert notebook.evaluate("seen") == []  # it was quick
        refused = "try: ch.send(1, timeout=0.3, progress={progress})\nexcept rtc.SendTimeout: seen = bars()"
        notebook.run("progress.SHOW_AFTER = 0.1\n" + refused.format(progress=None))
        assert notebook.evaluate("seen") == []  # it showed by itself, and is gone
        notebook.run(refused.format(progress=True))
        assert notebook.evaluate("seen") == [[0, 1]]
        assert "not all of 1 bytes has arrived" in notebook.evaluate("labels()")[-1]
        assert channel.recv().nbytes == 2_000_000
        notebook.run("ch.send(np.zeros(3_000_000, np.uint8), progress=True)")
        assert notebook.evaluate("bars()")[-1] == [3_000_000, 3_000_000]
        assert notebook.evaluate("labels()")[-1].startswith(f"channel {name!r}: 2.9 MiB in ")
