"""No message and no result depends on the order of a set, which changes with Python's hash seed."""

import ast
from collections.abc import Iterator

import pytest

_MAKERS = {"set", "frozenset"}
_METHODS = {"union", "intersection", "difference", "symmetric_difference"}
_OPERATORS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)
_ORDERLESS = {"sorted", "set", "frozenset", "any", "all", "len", "sum", "min", "max"}
"""What gives the same whatever the order; `min` and `max` only without a key, or the first of equals wins."""
_ORDERED = {"list", "tuple", "enumerate", "iter", "zip", "map", "filter", "str", "repr", "fromkeys", "join"}

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


class _Module:
    """What holds a set in one module, as far as its text says so."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.returning = {
            node.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef) and _says_set(node.returns)
        }
        self.attributes: set[str] = set()
        self.names: dict[ast.AST, set[str]] = {}
        # A set that is made of a named set may be found in the next round.
        for _ in range(2):
            for node in ast.walk(self.tree):
                self._bind(node)

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.arg(arg=name, annotation=annotation) if _says_set(annotation):
                self.names.setdefault(self._scope(node), set()).add(name)
            case ast.AnnAssign(target=target, annotation=annotation) if _says_set(annotation):
                self._hold(target)
            case ast.Assign(targets=targets, value=value) if self.is_set(value):
                for target in targets:
                    self._hold(target)
            case _:
                pass

    def _hold(self, target: ast.AST) -> None:
        match target:
            case ast.Name(id=name):
                scope = self._scope(target)
                self.names.setdefault(scope, set()).add(name)
                if isinstance(scope, ast.ClassDef):
                    self.attributes.add(name)
            case ast.Attribute(attr=name):
                self.attributes.add(name)
            case _:
                pass

    def _scope(self, node: ast.AST) -> ast.AST:
        while not isinstance(node, Scope):
            node = self.parents[node]
        return node

    def _scopes(self, node: ast.AST) -> Iterator[ast.AST]:
        while node is not self.tree:
            node = self.parents[node]
            if isinstance(node, Scope):
                yield node

    def is_set(self, node: ast.AST) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in _MAKERS or name in self.returning
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return (name in _METHODS and self.is_set(value)) or name in self.returning
            case ast.BinOp(left=left, right=right, op=op) if isinstance(op, _OPERATORS):
                return any(self.is_set(side) or _is_keys(side) for side in (left, right))
            case ast.IfExp(body=body, orelse=other):
                return self.is_set(body) or self.is_set(other)
            case ast.NamedExpr(value=value):
                return self.is_set(value)
            case ast.Name(id=name):
                return any(name in self.names.get(scope, ()) for scope in self._scopes(node))
            case ast.Attribute(attr=name):
                return name in self.attributes
            case _:
                return False

    def ordered(self) -> Iterator[int]:
        """Yield the lines on which the order of a set matters."""
        for node in ast.walk(self.tree):
            if self._orders(node) or (isinstance(node, ast.Call) and self._is_ordered_call(node)):
                yield getattr(node, "lineno", 0)

    def _orders(self, node: ast.AST) -> bool:
        match node:
            case ast.For(iter=read) | ast.FormattedValue(value=read):
                return self.is_set(read)
            case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
                return any(self.is_set(part.iter) for part in node.generators) and not self._is_orderless(
                    node
                )
            case ast.Starred(value=value):
                return self.is_set(value) and not isinstance(self.parents[node], ast.Set)
            case ast.Assign(targets=[ast.Tuple(elts=names) | ast.List(elts=names)], value=value):
                return self.is_set(value) and len(names) > 1
            case _:
                return False

    def _is_ordered_call(self, node: ast.Call) -> bool:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        keyed = name in {"min", "max"} and any(option.arg == "key" for option in node.keywords)
        return (name in _ORDERED or keyed) and any(self.is_set(each) for each in node.args)

    def _is_orderless(self, node: ast.AST) -> bool:
        parent = self.parents[node]
        return (
            isinstance(parent, ast.Call)
            and isinstance(parent.func, ast.Name)
            and parent.func.id in _ORDERLESS
            and not (parent.func.id in {"min", "max"} and parent.keywords)
        )


def _says_set(annotation: ast.AST | None) -> bool:
    match annotation:
        case ast.Name(id=name):
            return name in _MAKERS
        case ast.Subscript(value=ast.Name(id=name)):
            return name in _MAKERS
        case _:
            return False


def _is_keys(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def test_nothing_is_made_in_the_order_of_a_set(trees: dict[str, ast.Module]) -> None:
    """Sort it, or keep a dictionary: that has the order in which things were put in."""
    found = [f"{path}:{line}" for path, tree in trees.items() for line in _Module(tree).ordered()]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "for x in {1, 2}: pass",
        "for x in set(y): pass",
        "for x in a.keys() - b: pass",
        "for x in {*a} - b: raise E(x)",
        "z = [f(x) for x in {y for y in q}]",
        "z = {x: 1 for x in frozenset(q)}",
        "z = next(iter({1} | b))",
        "z = ', '.join(set(q))",
        "a = set(q)\nz = f'{a}'",
        "a: set[str] = q()\nprint(*a)",
        "def f(a: frozenset[str]): return list(a)",
        "def f() -> set[str]: pass\nz = [x for x in f()]",
        "class C:\n    a: frozenset[str]\n    def f(self): return tuple(self.a)",
        "z = min(set(q), key=len)",
        "z = max((f(x) for x in set(q)), key=len)",
        "first, other = {1, 2}",
    ],
)
def test_the_check_finds_what_depends_on_the_order(code: str) -> None:
    assert list(_Module(ast.parse(code)).ordered())


@pytest.mark.parametrize(
    "code",
    [
        "for x in sorted({1, 2}): pass",
        "for x in dict.fromkeys(q): pass",
        "z = sorted(f(x) for x in set(q))",
        "z = {f(x) for x in {*a, *b}}",
        "z = len(set(q)), min(set(q)), x in {1, 2}",
        "z = any(f(x) for x in set(q))",
        "(only,) = {1}",
        "def f():\n    a = set(q)\ndef g(a): return list(a)",
        "z = [x - y for x in a - b]",
    ],
)
def test_the_check_lets_pass_what_does_not(code: str) -> None:
    assert not list(_Module(ast.parse(code)).ordered())
