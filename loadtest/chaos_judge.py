"""What a gateway is configured to do while its backends misbehave, and whether a reply of it is what it must be.

The backends answer `/echo` with what they were asked, the X-Request-Id among it: so each fragment tells of which request
it is, how old it is at most, and whose it is.
"""

import collections
import dataclasses
import json
import re
from typing import Any

KEPT = {"stale_if_error": "1h"}  # once stored, there is something for an hour
IDS, USERS = 8, 3
Outcomes = dict[str, dict[str, str]]


def echo(name: str, backend: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "backend": backend, "path": f"/echo?k={name}{{id}}", **more}


ENDPOINTS: dict[str, dict[str, Any]] = {
    "merge": {"deadline": "400ms", "calls": [
        echo("a", "a", required=True, cache={"ttl": "1s", "stale_while_revalidate": "2s", **KEPT}),
        echo("b", "b", cache={"ttl": "0s", "stale_after": "80ms", **KEPT}),
        echo("c", "c", fallback=[])]},
    "first": {"deadline": "400ms", "strategy": "first", "calls": [
        echo("fa", "a", cache={"ttl": "500ms", **KEPT}), echo("fb", "b", cache={"ttl": "500ms", **KEPT})]},
    "quorum": {"deadline": "400ms", "strategy": "quorum", "quorum": 2, "calls": [
        echo(f"q{backend}", backend, timeout="200ms", cache=KEPT) for backend in "abc"]},
    "users": {"deadline": "300ms", "calls": [
        echo("ua", "a", forward={"headers": ["x-user"]},
             cache={"ttl": "300ms", "stale_while_revalidate": "1s", "vary": ["x-user"], **KEPT}),
        echo("ub", "b", headers={"x-user": "{header.x-user}"},
             cache={"stale_after": "50ms", "vary": ["x-user"], **KEPT})]},
    "short": {"deadline": "300ms", "calls": [  # windows that end while backends are gone
        echo("sa", "a", cache={"ttl": "1s", "stale_if_error": "4s"}),
        echo("sb", "b", timeout="150ms", cache={"ttl": "0s", "stale_if_error": "3s", "stale_after": "60ms"})]},
    "dependent": {"deadline": "400ms", "calls": [
        echo("d1", "a", required=True, timeout="150ms", cache={"ttl": "300ms", **KEPT}),
        {**echo("d2", "b", timeout="150ms", cache={"stale_after": "60ms", **KEPT}), "path": "/echo?k=d2{id}&m={d1.method}"}]},
    "each": {"deadline": "500ms", "calls": [
        {"name": "list", "backend": "a", "path": "/orders?user={id}&limit=3", "timeout": "150ms",
         "cache": {"ttl": "500ms", **KEPT}},
        {"name": "items", "backend": "b", "path": "/echo?k={item.id}", "for_each": {"in": "list"}, "timeout": "200ms",
         "cache": {"ttl": "200ms", **KEPT}}]},
    "proxy": {"deadline": "400ms", "strategy": "proxy", "calls": [
        echo("p", "c", timeout="200ms", cache={"ttl": "300ms", "stale_while_revalidate": "700ms", **KEPT})]},
    # Shares its entries with others, which need not wait for all of their calls: so that those are stored, too.
    "all": {"deadline": "2s", "calls": [echo(f"{kind}{backend}", backend, cache=KEPT)
                                        for kind, backends in (("f", "ab"), ("q", "abc")) for backend in backends]},
}


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"ms": 0.001, "s": 1, "h": 3600}[unit]


def deadline(endpoint: str) -> float:
    return seconds(ENDPOINTS[endpoint]["deadline"])


def outcomes_of(header: str) -> Outcomes:
    """A `Sluice-Calls`: of each call its parameters, and as `outcome` that."""
    members = [member.partition("=") for member in header.split(", ")]
    return {name: {"outcome": rest.split(";")[0], **dict(pair.split("=", 1) for pair in rest.split(";")[1:])}
            for name, _, rest in members}


@dataclasses.dataclass(frozen=True)
class Reply:
    """One reply, what had been asked, and when (`sent`, `came`: seconds of the real clock). Header names in lower case,
    several lines as one list."""

    endpoint: str
    id: int
    user: str
    request_id: str
    sent: float
    came: float
    status: int
    headers: dict[str, str]
    body: bytes


class Judge:
    """Knows when each request was sent, and says what is wrong with a reply."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.orders: dict[int, list[int]] = {}  # what `list` has, by id
        self.purged: tuple[float, float] | None = None  # when a purge of everything began and ended
        self.is_warm = False  # everything is stored, and nobody purges

    def faults(self, reply: Reply) -> list[str]:
        calls = outcomes_of(reply.headers["sluice-calls"])
        names = [call["name"] for call in ENDPOINTS[reply.endpoint]["calls"]]
        if list(calls) != names:
            return [f"the calls are not {names}"]
        found = self._header_faults(reply, calls)
        if reply.status == 200:
            found += self._body_faults(reply, calls)
        return found

    def _header_faults(self, reply: Reply, calls: Outcomes) -> list[str]:
        endpoint, headers = reply.endpoint, reply.headers
        outcomes = {call["outcome"] for call in calls.values()}
        result, control = headers["sluice-result"], headers.get("cache-control", "")
        found = []
        degraded = outcomes & {"stale", "fallback"}
        has_failed = "missing" in outcomes if endpoint == "proxy" else reply.status != 200  # a proxy passes any status on
        lacks = "missing" in outcomes or any("missing" in call for call in calls.values())  # a call, or an element
        expected = ("failed" if has_failed else "partial" if lacks else
                    "degraded" if degraded else "complete")
        if result != expected:
            found.append(f"the result is not {expected}")
        has_data = endpoint == "first" and bool(outcomes & {"fresh", "cached", "stale"})
        if self.is_warm and endpoint != "short" and result not in ("complete", "degraded") and not has_data:
            found.append("something is missing, although it is stored")
        ages = [int(call["age"]) for call in calls.values() if "age" in call]
        if result != "complete":
            if control != "no-store" and reply.status == 200:
                found.append("not whole, yet no no-store")
        elif endpoint != "proxy":  # there Cache-Control is the backend's
            found += self._lifetime_faults(reply, calls, control)
        if ages and reply.status == 200 and headers.get("age") != str(max(ages)):
            found.append(f"Age is not {max(ages)}")
        if endpoint == "users" and reply.status == 200 and "x-user" not in headers.get("vary", "").lower():
            found.append("no Vary: X-User")
        return found

    @staticmethod
    def _lifetime_faults(reply: Reply, calls: Outcomes, control: str) -> list[str]:
        limit = re.search(r"max-age=(\d+)", control)
        if not limit:
            return [] if control == "no-store" else ["neither max-age nor no-store"]
        found = []
        if (reply.endpoint == "users") != ("private" in control):
            found.append("private in the wrong place")
        left = [seconds(call.get("cache", {}).get("ttl", "0s")) - int(calls[call["name"]].get("age", 0))
                for call in ENDPOINTS[reply.endpoint]["calls"] if calls[call["name"]]["outcome"] != "skipped"]
        if int(limit[1]) > int(reply.headers.get("age", 0)) + max(0, min(left)):
            found.append("max-age beyond the ttl")
        return found

    def _body_faults(self, reply: Reply, calls: Outcomes) -> list[str]:
        with_data = [name for name, call in calls.items() if call["outcome"] not in ("missing", "skipped")]
        try:
            parts = json.loads(reply.body)
        except ValueError:
            parts = None
        if reply.endpoint == "proxy" and (not isinstance(parts, dict) or "target" not in parts):
            return []  # it passes on and stores whatever there is
        if not isinstance(parts, dict):
            return ["no JSON object"]
        if reply.endpoint in ("first", "proxy"):
            parts = {name: parts for name in with_data}
        if sorted(parts) != sorted(with_data) or (reply.endpoint == "first" and len(parts) != 1):
            return [f"the body has {sorted(parts)}"]
        return [f"{name}: {fault}" for call in ENDPOINTS[reply.endpoint]["calls"] if (name := call["name"]) in parts
                for fault in self._part_faults(reply, call, calls[name], parts[name])]

    def _part_faults(self, reply: Reply, call: dict[str, Any], said: dict[str, str], part: Any) -> list[str]:
        name, orders = call["name"], self.orders.get(reply.id, [])
        if said["outcome"] == "fallback":
            return [] if part == call["fallback"] else ["not the fallback"]
        if name == "list":
            return [] if [order["id"] for order in part] == orders else ["not the orders"]
        if name == "items":
            missing = part.count(None)
            is_right = len(part) == len(orders) and all(item is None or item["target"] == f"/echo?k={order}"
                                                        for item, order in zip(part, orders))
            return [] if is_right and missing == int(said.get("missing", 0)) else ["not the items"]
        target = call["path"].replace("{id}", str(reply.id)).replace("{d1.method}", "GET")
        asked = collections.defaultdict(str, {key.lower(): value for key, value in part.get("headers", [])})
        found = []
        if part.get("target") != target:
            found.append(f"the answer to {part.get('target')}")
        if asked["x-user"] != (reply.user if reply.endpoint == "users" else ""):
            found.append(f"the data of {asked['x-user']!r}")
        source = asked["x-request-id"]
        if source not in self.sent:
            return [*found, f"the answer to a request {source!r} that nobody sent"]
        return found + self._age_faults(reply, call, said, self.sent[source])

    def _age_faults(self, reply: Reply, call: dict[str, Any], said: dict[str, str], asked: float) -> list[str]:
        """A fragment came from the backend after `asked`, at most what an attempt may take later."""
        longest = seconds(call.get("timeout", ENDPOINTS[reply.endpoint]["deadline"]))
        if "{d1." in call["path"]:  # it waits for that
            longest += deadline(reply.endpoint)
        least, most = reply.sent - asked - longest, reply.came - asked
        if self.purged and asked + longest < self.purged[0] and reply.sent > self.purged[1]:
            return ["older than the purge"]
        if said["outcome"] == "fresh":
            return [] if least <= deadline(reply.endpoint) else [f"fresh, but {least:.1f} s old"]
        age = int(said["age"])
        cache = {key: seconds(value) for key, value in call["cache"].items() if isinstance(value, str)}
        window = "stale_while_revalidate" if said["outcome"] == "cached" else "stale_if_error"
        limit = cache.get("ttl", 0) + cache.get(window, 0)
        found = []
        if not int(least) <= age <= most + 1:  # what came with a Date has an age of whole seconds from the start
            found.append(f"age {age}, but it is {least:.1f} to {most:.1f} s old")
        if max(age, least) > limit:
            found.append(f"served beyond {limit:g} s")
        return found
