"""Anomaly detection (lines 265, 284-287): an alarm where the reconstruction error is too large.

Two sensors of a pump, a reading a minute; the flow follows the pressure, but for twenty minutes.
The autoencoder learns from normal readings alone. Its threshold promises a rate of false alarms,
and is set on readings that chose no weights. Then readings come one at a time.

    python examples/machine_sensors.py [BUDGET]
"""

import sys

import numpy as np

import ensuite
from ensuite.tasks.detect_stream import DetectStream

budget = sys.argv[1] if len(sys.argv) > 1 else "20epochs"
random = np.random.default_rng(0)


def readings(minutes: int, broken: range = range(0)) -> np.ndarray:
    """Return pressure and flow, (minutes, 2)."""
    time = np.arange(minutes)
    pressure = 10 + 3 * np.sin(time * np.pi / 60) + random.normal(0, 0.2, minutes)
    flow = 2 * pressure + random.normal(0, 0.3, minutes) - 4 * np.isin(time, broken)
    return np.column_stack([pressure, flow])


normal = readings(3000)
table = {"pressure": normal[:, 0].tolist(), "flow": normal[:, 1].tolist()}
settings = {"window": 10, "live": True, "false_alarms": 0.005}
run = ensuite.train("detect", table, model="autoencoder:code=4", settings=settings, budget=budget)
limit = run.task.threshold
print(
    f"threshold {limit.value:.2f}: {limit.rate:.2%} false alarms promised, {limit.low:.2%} to "
    f"{limit.high:.2%} with 95 % confidence"
)

stream, alarms = DetectStream(run), []
for minute, reading in enumerate(readings(600, broken=range(400, 420))):
    prediction = stream.read(reading)
    if prediction.alarm:
        alarms.append(minute)
        if minute in range(400, 420) and len([each for each in alarms if each >= 400]) == 1:
            print(f"first alarm in minute {minute}, because of {run.task.cause(prediction)}")
during = sum(400 <= minute < 420 for minute in alarms)
print(f"{during} alarms in the 20 broken minutes, {len(alarms) - during} in the 580 others")
