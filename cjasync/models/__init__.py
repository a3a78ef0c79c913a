"""What CJ's answers become: one module per noun."""

from cjasync.models._model import Model
from cjasync.models._pool import ValuePool
from cjasync.models.account import AccountLimits, AccountSettings, Callback, Callbacks, QuotaLimit
from cjasync.models.category import Category, FirstCategory, RelatedCategory, SecondCategory
from cjasync.models.common import Price, Weight
from cjasync.models.product import ListedProduct, MyProduct, Product, SearchProduct
from cjasync.models.review import Review
from cjasync.models.sourcing import Sourcing, SourcingRequest
from cjasync.models.stock import ProductInventory, Stock, StockLocation, VariantInventory
from cjasync.models.token import Tokens
from cjasync.models.variant import Variant
from cjasync.models.warehouse import SearchStore, Warehouse

__all__ = [
    "AccountLimits",
    "AccountSettings",
    "Callback",
    "Callbacks",
    "Category",
    "FirstCategory",
    "ListedProduct",
    "Model",
    "MyProduct",
    "Price",
    "Product",
    "ProductInventory",
    "QuotaLimit",
    "RelatedCategory",
    "Review",
    "SearchProduct",
    "SearchStore",
    "SecondCategory",
    "Sourcing",
    "SourcingRequest",
    "Stock",
    "StockLocation",
    "Tokens",
    "ValuePool",
    "Variant",
    "VariantInventory",
    "Warehouse",
    "Weight",
]
