"""What the rows on the wire say, against the truth."""

import json

from sandbox_caller import embedded, price_of

from cjasync.config import Plan


async def test_every_row_of_product_list_says_what_is_true():
    async with embedded(products=700) as caller:
        seen = {}
        for page in range(1, 5):
            data = await caller.data(f"product/list?pageSize=200&pageNum={page}")
            assert (data["pageNum"], data["pageSize"], data["total"]) == (page, 200, 700)
            seen |= {row["pid"]: row for row in data["list"]}
        catalogue = caller.sandbox.catalogue
        assert seen.keys() == catalogue.pids_now()
        for pid, row in seen.items():
            product = catalogue.get(pid)
            names = row["productName"]
            weight = row["productWeight"].replace(".00", "").split("-")
            assert tuple(json.loads(names) if names[0] == "[" else [names]) == product.names_zh
            assert row["productNameEn"] == product.name_en
            assert row["productSku"] == product.sku
            assert row["productImage"] == product.image
            assert (int(weight[0]), int(weight[-1])) == (product.weight_low, product.weight_high)
            assert price_of(row["sellPrice"]) == (product.price_low, product.price_high)
            assert row["createTime"] == product.created_ms
            assert row["listedNum"] == row["listingCount"] == product.listed
            assert row["categoryId"] == product.category.id
            assert row["categoryName"] == row["threeCategoryName"] == product.category.name
            assert row["twoCategoryId"] == product.category.two_id
            assert row["oneCategoryName"] == product.category.one_name
            assert len(row["shippingCountryCodes"]) == len(product.countries)
            assert row["deliveryTime"] == product.delivery_hours
            assert row["customizationVersion"] == product.customization
            assert row["productType"] == product.product_type
            assert row["supplierName"] == product.supplier_name
            assert (row["supplierId"] or None) == product.supplier_id
            assert row["addMarkStatus"] == str(int(product.free_shipping))
            assert row["isFreeShipping"] is product.free_shipping
            assert bool(row["isVideo"]) is product.video
            assert (row["productUnit"], row["remark"]) == (product.unit, product.remark)


async def test_rows_mix_types_as_the_live_service_does():
    async with embedded(products=1000) as caller:
        rows = [
            row for n in range(1, 6) for row in (await caller.data(f"product/list?pageSize=200&pageNum={n}"))["list"]
        ]
        types = {name: {type(row[name]) for row in rows} for name in rows[0]}
        assert types["sellPrice"] == {str, float}
        assert types["isVideo"] == {type(None), int, bool}
        assert types["isTestProduct"] == {type(None), int, bool}
        assert types["saleStatus"] == {str, int}
        assert types["createTime"] == {type(None), int}
        assert any(" -- " in str(row["sellPrice"]) for row in rows)
        assert any("-" in row["productWeight"] for row in rows)
        assert {row["productName"][0] == "[" for row in rows} == {True, False}
        assert any("<" in (row["remark"] or "") for row in rows)
        assert any('"' in row["productNameEn"] for row in rows)
        assert any("é" in row["productNameEn"] for row in rows)


async def test_every_row_of_list_v2_says_what_is_true():
    async with embedded(products=300, delisted=0.1, listv2_sparse=False) as caller:
        catalogue = caller.sandbox.catalogue
        seen = {}
        for page in range(1, 5):
            data = await caller.data(f"product/listV2?size=100&page={page}&features=enable_category,enable_video")
            seen |= {row["id"]: row for wrapper in data["content"] for row in wrapper["productList"]}
        assert seen.keys() == {product.pid for product in catalogue.truth(delisted=False)}
        assert data["totalRecords"] == len(seen) < 300
        for pid, row in seen.items():
            product = catalogue.get(pid)
            assert (row["nameEn"], row["sku"], row["bigImage"]) == (product.name_en, product.sku, product.image)
            assert price_of(row["sellPrice"]) == (product.price_low, product.price_high)
            assert row["createAt"] == product.created_ms
            assert row["warehouseInventoryNum"] == product.verified_stock + product.factory_stock
            assert row["threeCategoryName"] == product.category.name
            assert bool(row["videoList"]) is product.video
            assert row["isVideo"] == row["isVedio"] == int(product.video)
            assert row["supplierName"] == product.supplier_name


async def test_list_v2_leaves_out_what_no_feature_asked_for():
    async with embedded() as caller:

        async def row(features):
            data = await caller.data(f"product/listV2?{features}")
            assert (data["pageSize"], data["pageNumber"], data["totalPages"]) == (10, 1, -(-data["totalRecords"] // 10))
            return data["content"][0]["productList"][0]

        plain = await row("")
        assert [plain[name] for name in ("createAt", "description", "oneCategoryName", "inventoryInfo", "spu")] == [
            None
        ] * 5
        assert "<p>" in (await row("features=enable_description"))["description"]
        both = await row("features=enable_category&features=enable_combine")
        assert both["oneCategoryName"]
        assert json.loads(both["inventoryInfo"]) is not None
        assert both["description"] is None


async def test_list_v2_answers_a_keyword_with_related_categories_and_nothing_with_no_content():
    async with embedded(products=3000) as caller:
        data = await caller.data("product/listV2?keyWord=hoodie&size=50")
        wrapper = data["content"][0]
        assert wrapper["keyWord"] == "hoodie"
        assert all("hoodie" in row["nameEn"].lower() for row in wrapper["productList"])
        assert wrapper["relatedCategoryList"][0].keys() == {"id", "name", "currentLevel"}
        nothing = await caller.data("product/listV2?keyWord=zzz")
        assert (nothing["totalRecords"], nothing["content"]) == (0, [])
        assert (await caller.data("product/list?pid=zzz"))["list"] is None


async def test_the_category_tree_holds_every_category_of_the_products():
    async with embedded() as caller:
        tree = await caller.data("product/getCategory")
        leaves = {
            leaf["categoryId"]: leaf["categoryName"]
            for first in tree
            for second in first["categoryFirstList"]
            for leaf in second["categorySecondList"]
        }
        assert (len(tree), len(leaves)) == (14, 577)
        for product in caller.sandbox.catalogue.truth():
            assert leaves[product.category.id] == product.category.name


async def test_settings_tell_limits_that_are_not_the_real_ones():
    async with embedded(products=1, plan=Plan.free()) as caller:
        data = await caller.data("setting/get")
        assert data["setting"]["qpsLimit"] == 100
        assert data["setting"]["quotaLimits"][0]["quotaLimit"] == 1000
