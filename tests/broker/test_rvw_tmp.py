from __future__ import annotations
import random, time, resource, os
import pytest
from streammon.adapters.kafka_source import KafkaSource
from streammon.adapters import librdkafka
from tests.broker.kafka_tools import produce
pytestmark = [pytest.mark.broker, pytest.mark.slow]
P, N = 4, 30_000
position = {p: 0 for p in range(P)}
held: dict[int, object] = {}
stats = {"rebalances": 0, "pauses": 0, "seeks": 0, "records": 0}

class W:
    def __init__(self, topic, options, rng, limit):
        self.rng, self.mine, self.paused = rng, [], set()
        self.source = KafkaSource(topic, options, limit)
        self.source.start(self)
    def assigned(self, partitions):
        stats["rebalances"] += 1
        for _ in range(self.rng.randrange(3)):
            self.source.heartbeat()
        for p in partitions:
            assert held.get(p) in (None, self), p
            held[p] = self
        self.mine = list(partitions)
        self.go()
    def go(self):
        self.paused = set()
        self.source.seek({p: position[p] for p in self.mine})
        if self.mine and self.rng.random() < .3:
            self.pause()
    def pause(self):
        stats["pauses"] += 1
        some = set(self.rng.sample(self.mine, self.rng.randrange(1, len(self.mine) + 1)))
        self.source.pause(some - self.paused)
        self.paused |= some
    def revoked(self, partitions):
        for p in partitions:
            assert held.pop(p, self) is self
        self.mine = []
        self.paused = set()
    lost = revoked
    def turn(self):
        r = self.rng.random()
        if self.mine and r < .1:
            self.pause()
        elif self.paused and r < .4:
            self.source.resume(self.paused); self.paused = set()
        elif self.mine and r < .45:
            stats["seeks"] += 1
            for p in self.mine:
                position[p] = max(0, position[p] - self.rng.randrange(2000)) if self.rng.random() < .5 else position[p]
            self.source.heartbeat()
            if self.mine: self.go()
        records = self.source.poll(self.rng.choice([0.0, 0.02]))
        if records is None: return
        for p, low, high in records.runs:
            if p not in self.mine: continue
            assert p not in self.paused, (p, self.paused)
            offs = records.offset[low:high].tolist()
            assert offs == list(range(position[p], position[p] + len(offs))), (p, position[p], offs[0], offs[-1], stats)
            position[p] += len(offs)
            stats["records"] += len(offs)
            records.origin(low)

@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.timeout(150)
def test_x(broker, topics, direct, monkeypatch):
    if not direct: monkeypatch.setattr(librdkafka, "load", lambda: None)
    for p in position: position[p] = 0
    held.clear()
    rng = random.Random(int(os.environ.get("SEED", "1")))
    topic = topics.create("events", P)
    produce(broker.bootstrap, topic, [(p, b"k", b"x" * 300, None) for p in range(P) for _ in range(N)])
    options = {"bootstrap.servers": broker.bootstrap, "group.id": topics.name("group"), "heartbeat.interval.ms": 100, "session.timeout.ms": 6000}
    ws = [W(topic, options, rng, 300)]
    end = time.monotonic() + 40
    while min(position.values()) < N and time.monotonic() < end:
        for w in ws: w.turn()
        if len(ws) < 3 and rng.random() < .02: ws.append(W(topic, options, rng, rng.choice([1, 100, 3000])))
        elif len(ws) > 1 and rng.random() < .01:
            w = ws.pop(rng.randrange(len(ws))); t = time.monotonic(); w.source.close(); assert time.monotonic() - t < 3
            assert not w.mine
    print(direct, stats, position, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    for w in ws: w.source.close()
