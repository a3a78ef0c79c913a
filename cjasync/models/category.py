"""Categories: three levels, of which only the third has ids in the tree."""

from __future__ import annotations

from cjasync.models._model import Id, Model, wire


class Category(Model):
    """A third level category: the one that products belong to."""

    category_id: Id  #: GUID or 19 digits; what `category_id=` of both listings takes
    category_name: str | None = None  #: English name


class SecondCategory(Model):
    """A second level category. CJ does not tell its id here; listV2 rows do (`two_category_id`)."""

    category_second_name: str | None = None  #: English name
    category_second_list: tuple[Category, ...] = ()  #: its third level categories


class FirstCategory(Model):
    """A first level category."""

    category_first_name: str | None = None  #: English name
    category_first_list: tuple[SecondCategory, ...] = ()  #: its second level categories

    def leaves(self) -> tuple[Category, ...]:
        """All third level categories below it."""
        return tuple(leaf for second in self.category_first_list for leaf in second.category_second_list)


class RelatedCategory(Model):
    """A category that listV2 relates to the search word. The document and the live service name its fields apart."""

    category_id: Id | None = wire("categoryId", "id")  #: of any level
    category_name: str | None = wire("categoryName", "name")  #: English name
    current_level: int | None = None  #: 1, 2 or 3
