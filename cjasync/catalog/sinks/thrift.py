"""Thrift's compact protocol, in which a Parquet file describes itself: any struct to plain values, and back. Pure.

A struct is a dict: field ids to (type, value), in the order in which they came. A list is the type of its items, and
the items. What is written may hold structs as bytes that were written before.
"""

from __future__ import annotations

from typing import Any

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
_FLAGS = (TRUE, FALSE)  # a field that is one of these says so in its type; an item is a byte
_INTEGERS = (I16, I32, I64)
_LISTS = (LIST, SET)
_LONG = 15  # a list's head has no room for more

Fields = dict[int, tuple[int, Any]]


class Reader:
    """Reads values one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Fields:
        """The struct that comes next."""
        fields: Fields = {}
        last = 0
        while (head := self._byte()) != STOP:
            last = last + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            fields[last] = kind, self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._signed()
        if kind == BINARY:
            return self._bytes(self._unsigned())
        if kind == STRUCT:
            return self.struct()
        if kind in _LISTS:
            return self._list()
        if kind in _FLAGS:
            return None
        if kind == BYTE:
            return self._byte()
        if kind == DOUBLE:
            return self._bytes(8)
        raise ValueError(f"Parquet describes itself by no type {kind}")

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        size = head >> 4
        if size == _LONG:
            size = self._unsigned()
        kind = head & 15
        item = self._byte if kind in _FLAGS else lambda: self._value(kind)
        return kind, [item() for _ in range(size)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)


def written(fields: Fields) -> bytes:
    """The reverse of `Reader.struct`."""
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


def _write_struct(out: bytearray, fields: Fields) -> None:
    last = 0
    for number, (kind, value) in fields.items():
        if 0 < number - last < 16:
            out.append((number - last) << 4 | kind)
        else:
            out.append(kind)
            _write_signed(out, number)
        last = number
        _write_value(out, kind, value)
    out.append(STOP)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_signed(out, value)
    elif kind == BINARY:
        _write_unsigned(out, len(value))
        out += value
    elif kind == STRUCT and isinstance(value, bytes):
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind in _LISTS:
        _write_list(out, *value)
    elif kind == BYTE:
        out.append(value)
    elif kind == DOUBLE:
        out += value


def _write_list(out: bytearray, kind: int, items: list[Any]) -> None:
    if len(items) < _LONG:
        out.append(len(items) << 4 | kind)
    else:
        out.append(_LONG << 4 | kind)
        _write_unsigned(out, len(items))
    for item in items:
        if kind in _FLAGS:
            out.append(item)
        else:
            _write_value(out, kind, item)


def _write_unsigned(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _write_signed(out: bytearray, value: int) -> None:
    _write_unsigned(out, value << 1 if value >= 0 else (-value << 1) - 1)
