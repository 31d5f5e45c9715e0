"""Timing a request: the context manager and the decorator."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.sdk.reading import Service, read


@pytest.fixture
def service() -> Service:
    return Service()


def only(service: Service) -> dict[str, Any]:
    """The one event so far."""
    ((_, record, _),) = service.kept.records
    return read(record.value)


def test_a_call_is_timed_and_logged(service: Service) -> None:
    """From the beginning of the block to its end; what is said before and inside it is in the event."""
    with service.events.call(req_id="r1", lane="canary", user_id="u") as call:
        time.sleep(0.02)
        call.set(prediction="cat", features=[1.0])
        call.set(prediction="dog")
        assert not service.kept.records
    found = only(service)
    assert 20 <= found["latency_ms"] < 5_000
    assert (found["req_id"], found["lane"], found["prediction"], found["features"]) == ("r1", "canary", "dog", [1.0])
    assert (found["http_status"], found["timed_out"]) == (200, False)


@pytest.mark.parametrize(
    "error,status,timed_out",
    [
        (ValueError(), 500, False),
        (TimeoutError(), 504, True),
        (asyncio.TimeoutError(), 504, True),  # noqa: UP041  # its old name
        (asyncio.CancelledError(), 499, False),
        (KeyboardInterrupt(), 500, False),
    ],
)
def test_an_exception_is_logged_and_goes_on(
    service: Service, error: BaseException, status: int, timed_out: bool
) -> None:
    def fail() -> None:
        with service.events.call(req_id="r1") as call:
            call.set(score=0.5)
            raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert raised.value is error
    found = only(service)
    assert (found["http_status"], found["timed_out"], found["score"]) == (status, timed_out, 0.5)


def test_what_is_said_stands(service: Service) -> None:
    """Against what was noted."""

    def fail() -> None:
        with service.events.call() as call:
            call.set(http_status=422, timed_out=True, latency_ms=3.0)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    found = only(service)
    assert (found["http_status"], found["timed_out"], found["latency_ms"]) == (422, True, 3.0)


def test_calls_of_asyncio(service: Service) -> None:
    """`async with` is the same; calls that run at once do not mix."""

    async def request(number: int) -> None:
        async with service.events.call(req_id=number) as call:
            await asyncio.sleep(0.01 * number)
            call.set(prediction_value=float(number))

    async def main() -> None:
        await asyncio.gather(*map(request, range(3)))
        with pytest.raises(TimeoutError):
            async with service.events.call(req_id="late"), asyncio.timeout(0.01):
                await asyncio.sleep(5)

    asyncio.run(main())
    found = [read(record.value) for _, record, _ in service.kept.records]
    assert [(event["req_id"], event["prediction_value"]) for event in found] == [
        ("0", 0), ("1", 1), ("2", 2), ("late", None),
    ]  # fmt: skip
    assert [event["timed_out"] for event in found] == [False] * 3 + [True]


def test_nonsense_in_a_call_does_not_reach_the_service(service: Service) -> None:
    """It is refused and counted when the block ends, like in `log`."""
    with service.events.call() as call:
        call.set(nonsense=1)  # type: ignore[call-arg]  # what mypy would have found
    assert service.kept.dropped == [("invalid", "nonsense: there is no such field")]


def test_observed_functions(service: Service) -> None:
    """Result and arguments become fields by the given functions; the function stays what it was."""

    @service.events.observed(
        lambda result: {"prediction": result.upper()}, inputs=lambda x, **_: {"features": x}, lane="shadow"
    )
    def predict(x: list[float], *, quiet: bool = False) -> str:
        """Says cat."""
        time.sleep(0.01)
        return "cat"

    assert predict([1.0, 2.0], quiet=True) == "cat"
    assert (predict.__name__, predict.__doc__) == ("predict", "Says cat.")
    found = only(service)
    assert (found["prediction"], found["features"], found["lane"]) == ("CAT", [1.0, 2.0], "shadow")
    assert found["latency_ms"] >= 10


def test_observed_coroutines(service: Service) -> None:
    """A mapping that is returned speaks for itself, by the names that `log` knows."""

    @service.events.observed()
    async def predict() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"req_id": "r9", "prediction": "cat", "score": 0.5, "other": object()}

    assert asyncio.iscoroutinefunction(predict)
    assert asyncio.run(predict())["score"] == 0.5
    found = only(service)
    assert (found["req_id"], found["prediction"], found["score"]) == ("r9", "cat", 0.5)
    assert found["latency_ms"] >= 10


def test_observed_failures(service: Service) -> None:
    """Of the function are logged and go on; of the fields' functions are counted, and stay here."""

    @service.events.observed(lambda result: {"prediction": result["class"]})
    def predict(fail: bool) -> dict[str, str]:
        if fail:
            raise TimeoutError
        return {}

    with pytest.raises(TimeoutError):
        predict(True)
    assert only(service)["http_status"] == 504
    assert predict(False) == {}
    ((reason, why),) = service.kept.dropped
    assert reason == "invalid"
    assert "raised KeyError" in str(why)


@pytest.mark.parametrize("said", [{1: 2}, {"self": 1}])
def test_names_that_no_argument_can_have_stay_here(service: Service, said: dict[Any, Any]) -> None:
    """Like any name that `log` does not know: the event is refused, the function notices nothing."""

    @service.events.observed(lambda _: said)
    def predict() -> str:
        return "cat"

    @service.events.observed(inputs=lambda: said)
    def predict_again() -> str:
        return "cat"

    assert (predict(), predict_again()) == ("cat", "cat")
    (name,) = said
    assert service.kept.dropped == [("invalid", f"{name}: there is no such field")] * 2
