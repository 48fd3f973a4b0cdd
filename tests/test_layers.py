"""The architecture, held by tests: what each room may import, no mutable globals, a docstring in every module.

Imports are read from the syntax tree of every file of the package and followed through the package, so an import
inside a function or of a whole package counts too.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import proxy

PACKAGE = Path(proxy.__file__).parent

PURE_ROOMS = (
    "model",
    "schedulers",
    "affinity",
    "plan",
    "cluster",
    "dns.responder",
    "dns.resolution",
    "dns.resolv_conf",
    "dns.upstream_message",
    "dns.name_report",
)
IMPURE = frozenset(
    (
        "aiohttp",
        "asyncio",
        "kubernetes_asyncio",
        "multiprocessing",
        "psutil",
        "pyroute2",
        "select",
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "uvloop",
    )
)
NOT_FOR_THE_DATA_PLANE = frozenset(
    (
        "aiohttp",
        "asyncio",
        "cryptography",
        "kubernetes_asyncio",
        "prometheus_client",
        "proxy.admin",
        "proxy.apiserver",
        "proxy.capture",
        "proxy.cluster",
        "proxy.commands",
        "proxy.control",
        "proxy.demo",
        "proxy.dns",
        "proxy.inspection",
        "proxy.proxy",
        "proxy.sources",
        "proxy.workers",
        "psutil",
        "pyroute2",
        "uvloop",
        "yaml",
    )
)

SLOW_TO_IMPORT = frozenset(
    (
        "aiohttp",
        "asyncio",
        "cryptography",
        "kubernetes_asyncio",
        "prometheus_client",
        "psutil",
        "pyroute2",
        "rich",
        "textual",
        "uvloop",
        "yaml",
    )
)

MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_TYPES = frozenset(("bytearray", "defaultdict", "deque", "dict", "list", "set", "Counter", "OrderedDict"))
MUTATORS = frozenset(
    (
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "setdefault",
        "sort",
        "update",
    )
)


@cache
def package_modules() -> Mapping[str, str]:
    """Module name to source, for every file of the package."""
    return {module_name(file): file.read_text() for file in sorted(PACKAGE.rglob("*.py"))}


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@cache
def import_statements(source: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))


def imports_of(source: str, modules: Mapping[str, str]) -> set[str]:
    """Every module that `source` names in an import; `from a import b` is a.b where that is one of `modules`."""
    found: set[str] = set()
    for node in import_statements(source):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        else:
            assert node.level == 0, "imports are absolute here"
            assert node.module is not None
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (members & modules.keys()) or {node.module}
    return found


def reached_from(start: str, modules: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Every module that importing `start` loads, with the chain of imports that leads there."""
    chains: dict[str, tuple[str, ...]] = {start: (start,)}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        for imported in imports_of(modules.get(module, ""), modules):
            for name in (imported, *parents_of(imported)):
                if name not in chains:
                    chains[name] = (*chains[module], name)
                    waiting.append(name)
    return chains


def parents_of(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def violations(rooms: tuple[str, ...], forbidden: frozenset[str], modules: Mapping[str, str]) -> list[str]:
    """The import chains by which a module of `rooms` reaches something `forbidden`."""
    members = [name for name in modules if any(f"{name}.".startswith(f"proxy.{room}.") for room in rooms)]
    return [
        " -> ".join(chain)
        for member in members
        for reached, chain in reached_from(member, modules).items()
        if reached in forbidden
    ]


def mutable_globals(source: str) -> list[str]:
    """Names of the module that some function changes: by `global`, by assignment to an item, by a mutating call.

    Also containers that are bound to a name in lower case: a constant is written in capitals.
    """
    tree = ast.parse(source)
    containers = set(module_containers(tree))
    lower_case = [name for name in sorted(containers) if not name.isupper() and not name.startswith("__")]
    return lower_case + [name for node in ast.walk(tree) for name in names_changed_by(node, containers)]


def module_containers(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and is_mutable(statement.value):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def is_mutable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        function = value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name in MUTABLE_TYPES
    return isinstance(value, MUTABLE_DISPLAYS)


def names_changed_by(node: ast.AST, containers: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Global):
        yield from node.names
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield from (name for name in [getattr(node.value, "id", "")] if name in containers)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        yield from (name for name in [getattr(node.func.value, "id", "")] if name in containers)


def test_pure_rooms_never_reach_a_socket_a_loop_or_a_clock() -> None:
    assert violations(PURE_ROOMS, IMPURE, package_modules()) == []


def test_the_data_plane_never_reaches_the_control_side() -> None:
    assert violations(("dataplane", "shared_counts"), NOT_FOR_THE_DATA_PLANE, package_modules()) == []


def test_the_names_know_nothing_of_sources_and_control() -> None:
    others = ("admin", "apiserver", "cluster", "commands", "control", "demo", "inspection", "sources", "workers")
    forbidden = frozenset(("aiohttp", "kubernetes_asyncio", *(f"proxy.{room}" for room in others)))
    joints = ("proxy.dns.name_service ", "proxy.dns.name_places ")  # Where the configuration and the sockets come in.
    assert [chain for chain in violations(("dns",), forbidden, package_modules()) if not chain.startswith(joints)] == []


def test_the_rooms_of_the_control_process_import_in_one_direction() -> None:
    order = ("workers", "capture", "shortcut", "nftables", "control", "inspection", "proxy", "commands")
    modules = package_modules()
    for position, room in enumerate(order[:-1]):
        above = tuple(f"proxy.{other}." for other in order[position + 1 :])
        forbidden = frozenset(name for name in modules if f"{name}.".startswith(above))
        assert violations((room,), forbidden, modules) == []


def test_dnspython_is_a_test_of_the_names_and_no_part_of_them() -> None:
    """A second of the loop for 4 KB of a stranger's names: proxy/dns/incoming_message.py."""
    assert violations(("dns",), frozenset(("dns",)), package_modules()) == []


def test_what_nftables_is_told_is_decided_without_a_socket_or_a_clock() -> None:
    parts = ("attributes", "chains", "eligibility", "expressions", "holdings", "messages", "shares")
    assert violations(tuple(f"nftables.{part}" for part in parts), IMPURE - {"socket"}, package_modules()) == []


def test_the_room_of_bpf_imports_nothing_of_ours() -> None:
    modules = package_modules()
    others = frozenset(name for name in modules if name != "proxy" and not f"{name}.".startswith("proxy.bpf."))
    assert violations(("bpf",), others, modules) == []


def test_the_room_of_serving_imports_the_logs_alone() -> None:
    modules = package_modules()
    own = {name for name in modules if f"{name}.".startswith("proxy.serving.")}
    free = {"proxy", "proxy.logs", "proxy.line_output", "proxy.plain_text"}
    assert violations(("serving",), frozenset(modules.keys() - own - free), modules) == []


def test_a_look_at_a_proxy_starts_without_what_is_slow_to_import() -> None:
    modules = package_modules()
    quick = ("get", "describe", "explain")
    found = [
        " -> ".join(chain)
        for command in quick
        for reached, chain in reached_from(f"proxy.commands.{command}", modules).items()
        if reached.partition(".")[0] in SLOW_TO_IMPORT
    ]
    assert found == []


def test_only_the_demo_command_knows_the_demo() -> None:
    modules = package_modules()
    users = {
        name for name, source in modules.items() if any("proxy.demo" in each for each in imports_of(source, modules))
    }
    assert {user for user in users if not user.startswith("proxy.demo")} <= {"proxy.commands.demo"}


@pytest.mark.parametrize("name", package_modules())
def test_every_module_opens_with_a_docstring(name: str) -> None:
    assert ast.get_docstring(ast.parse(package_modules()[name]))


@pytest.mark.parametrize("name", package_modules())
def test_no_module_keeps_mutable_state(name: str) -> None:
    assert mutable_globals(package_modules()[name]) == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "from asyncio import sleep",
        "import asyncio.events as events",
        "def later():\n    import asyncio",
        "from proxy.admin import pages",
        "from proxy.admin.pages import page",
        "import proxy.admin.pages",
    ],
)
def test_a_planted_import_is_found(source: str) -> None:
    planted = {
        "proxy": "",
        "proxy.plan": "",
        "proxy.plan.planner": source,
        "proxy.admin": "",
        "proxy.admin.pages": "from asyncio import Queue",
    }
    assert violations(("plan",), IMPURE, planted)


def test_what_a_package_imports_counts_for_each_of_its_modules() -> None:
    planted = {
        "proxy": "",
        "proxy.plan": "from proxy.model.a import A",
        "proxy.model": "import socket",
        "proxy.model.a": "",
    }
    assert violations(("plan",), IMPURE, planted) == ["proxy.plan -> proxy.model -> socket"]


def test_a_module_of_a_like_name_is_another_room() -> None:
    assert violations(("plan",), IMPURE, {"proxy.planner": "import asyncio"}) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("cache = {}", ["cache"]),
        ("from collections import deque\nrecent: deque[int] = deque()", ["recent"]),
        ("TABLE = {}\ndef remember(key):\n    TABLE[key] = 1", ["TABLE"]),
        ("TABLE = {}\ndef forget(key):\n    del TABLE[key]", ["TABLE"]),
        ("SEEN = set()\ndef see(key):\n    SEEN.add(key)", ["SEEN"]),
        ("count = 0\ndef more():\n    global count\n    count += 1", ["count"]),
        ("TABLE = {'a': 1}\ndef read(key):\n    return TABLE[key]", []),
        ("def local():\n    found = []\n    found.append(1)\n    return found", []),
        ("__all__ = ['one']", []),
    ],
)
def test_planted_mutable_state_is_found(source: str, names: list[str]) -> None:
    assert mutable_globals(source) == names
