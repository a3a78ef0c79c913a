"""The calls that hardly change: the category tree, the warehouses, the account's settings."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from cjasync.sandbox.accounts import Account
from cjasync.sandbox.categories import Category
from cjasync.sandbox.envelope import success
from cjasync.sandbox.limits import POINTS
from cjasync.sandbox.state import ACCOUNT, State

# Country, name and the five languages that CJ shows.
_WAREHOUSES = [
    ("CN", "China", "中国仓", "China Warehouse", "China-Lager", "Entrepôt Chine", "คลังสินค้าจีน"),
    ("US", "United States", "美国仓", "US Warehouse", "US-Lager", "Entrepôt américain", "คลังสินค้าสหรัฐ"),
    ("DE", "Germany", "德国仓", "Germany Warehouse", "Deutschland-Lager", "Entrepôt Allemagne", "คลังสินค้าเยอรมนี"),
    ("GB", "United Kingdom", "英国仓", "UK Warehouse", "UK-Lager", "Entrepôt Royaume-Uni", "คลังสินค้าอังกฤษ"),
    ("FR", "France", "法国仓", "France Warehouse", "Frankreich-Lager", "Entrepôt France", "คลังสินค้าฝรั่งเศส"),
    ("TH", "Thailand", "泰国仓", "Thailand Warehouse", "Thailand-Lager", "Entrepôt Thaïlande", "คลังสินค้าไทย"),
]


def routes(state: State) -> list[web.RouteDef]:
    """The calls of this module."""
    tree = _tree(state.catalogue.categories)

    async def get_category(request: web.Request) -> web.StreamResponse:
        return success(request, tree)

    async def global_warehouse_list(request: web.Request) -> web.StreamResponse:
        return success(request, _warehouses(), envelope="success")

    async def setting_get(request: web.Request) -> web.StreamResponse:
        return success(request, _setting(request[ACCOUNT]))

    return [
        web.get(f"{state.prefix}product/getCategory", get_category),
        web.get(f"{state.prefix}product/globalWarehouseList", global_warehouse_list),
        web.get(f"{state.prefix}setting/get", setting_get),
    ]


def _tree(leaves: tuple[Category, ...]) -> list[dict[str, Any]]:
    firsts: dict[str, dict[str, list[dict[str, str]]]] = {}
    for leaf in leaves:
        second = firsts.setdefault(leaf.one_name, {}).setdefault(leaf.two_name, [])
        second.append({"categoryId": leaf.id, "categoryName": leaf.name})
    return [
        {
            "categoryFirstName": one,
            "categoryFirstList": [
                {"categorySecondName": two, "categorySecondList": leaves} for two, leaves in seconds.items()
            ],
        }
        for one, seconds in firsts.items()
    ]


def _warehouses() -> list[dict[str, Any]]:
    return [
        {
            "areaCn": zh,
            "areaEn": en,
            "areaId": place,
            "countryCode": code,
            "nameEn": name,
            "valueEn": code,
            "disabled": code == "TH",
            "zh": zh,
            "en": en,
            "de": de,
            "fr": fr,
            "th": th,
            "id": str(place),
        }
        for place, (code, name, zh, en, de, fr, th) in enumerate(_WAREHOUSES, 1)
    ]


def _setting(account: Account) -> dict[str, Any]:
    # Seen live: 100 requests a second and 1,000 a day, whatever the account's real limits are.
    return {
        "openId": account.open_id,
        "openName": f"CJ{account.number}",
        "openEmail": f"cj{account.number}@example.com",
        "setting": {
            "quotaLimits": [
                {"quotaUrl": f"/api2.0/v1/{path}", "quotaLimit": 1000, "quotaType": 4} for path in sorted(POINTS)
            ],
            "qpsLimit": 100,
        },
        "callback": {"product": {"type": "CANCEL", "urls": []}, "order": {"type": "CANCEL", "urls": []}},
        "root": "GENERAL",
        "isSandbox": True,
    }
