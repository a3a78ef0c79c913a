"""The category tree: 14 first-level, 89 second-level and 577 leaf categories, 419 of them with GUIDs for ids."""

from __future__ import annotations

import random
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

LEAVES = 577
GUID_LEAVES = 419

# First level, then second levels with two things sold there.
_TREE = """
Computer & Office
  Office Electronics: Printer, Scanner
  Storage Devices: USB Stick, Hard Disk
  Tablet & Laptop: Laptop Stand, Tablet Case
  World's Best Peripherals: Mouse, Keyboard
  School Supplies: Pencil Case, Notebook
  Networking: Router, Adapter
Women's Clothing
  Tops & Sets: Hoodie, Blouse
  Dresses: Lady Dress, Evening Dress
  Bottoms: Leggings, Skirt
  Outerwear & Jackets: Trench Coat, Down Jacket
  Accessories: Scarf, Belt
  Weddings & Events: Bridesmaid Dress, Cape
Home, Garden & Furniture
  Home Storage: Storage Box, Shoe Rack
  Kitchen, Dining & Bar: Knife, Coffee Cup
  Home Textiles: Cushion, Blanket
  Festive & Party Supplies: Balloon, Christmas Light
  Arts, Crafts & Sewing: Beads, Yarn
  Garden Supplies: Flower Pot, Watering Can
  Furniture: Chair, Bookcase
Jewelry & Watches
  Fashion Jewelry: Necklace, Earrings
  Fine Jewelry: Silver Ring, Pearl
  Men's Watches: Quartz Watch, Sports Watch
  Women's Watches: Bracelet Watch, Dress Watch
  Wedding & Engagement: Ring Set, Tiara
  Watch Accessories: Watch Strap, Watch Box
Bags & Shoes
  Women's Luggage & Bags: Shoulder Bag, Clutch
  Men's Luggage & Bags: Backpack, Wallet
  Women's Shoes: Sandals, Boots
  Men's Shoes: Sneaker, Loafer
  Luggage & Travel: Suitcase, Travel Pillow
  Kids' Bags: School Bag, Bumbag
Toys, Kids & Babies
  Baby Clothing: Romper, Bib
  Girls Clothing: Tutu, Girl Dress
  Boys Clothing: Boy Suit, Boy T-shirt
  Toys & Hobbies: Puzzle, Building Blocks
  Baby & Mother: Feeding Bottle, Stroller
  Shoes & Bags: Toddler Shoes, Kid Backpack
  Learning & Education: Drawing Board, Globe
Men's Clothing
  Tops & Shirts: T-shirt, Polo
  Pants: Jeans, Cargo Pants
  Outerwear & Coats: Bomber Jacket, Parka
  Underwear & Loungewear: Boxer, Pyjamas
  Hats & Accessories: Baseball Cap, Tie
  Suits: Blazer, Vest
Consumer Electronics
  Smart Electronics: Smart Watch, GPS Tracker
  Accessories & Parts: Cable, Charger
  Camera & Photo: Tripod, Action Camera
  Home Audio & Video: Speaker, Projector
  Portable Audio & Video: Earphones, Microphone
  Video Games: Gamepad, Console Bag
  Drones: Drone, Propeller
Health, Beauty & Hair
  Skin Care: Face Mask, Serum
  Makeup: Lipstick, Eyeshadow
  Hair Weaves: Hair Bundle, Closure
  Wigs & Extensions: Lace Wig, Clip-in
  Nail Art & Tools: Nail Lamp, Nail Sticker
  Beauty Tools: Massager, Hair Dryer
  Oral Care: Toothbrush, Whitening Strip
Pet Supplies
  Pet Toys: Chew Toy, Ball Launcher
  Pet Furniture: Cat Tree, Dog Bed
  Pet Collars, Harnesses & Accessories: Leash, Collar
  Pet Feeding: Water Fountain, Bowl
  Pet Apparel: Dog Sweater, Raincoat
  Fish & Aquarium: Filter, Aquarium Plant
Sports & Outdoors
  Cycling: Bike Light, Helmet
  Fishing: Lure, Fishing Reel
  Swimming: Swim Goggles, Bikini
  Camping & Hiking: Tent, Hammock
  Fitness & Body Building: Yoga Mat, Dumbbell
  Musical Instruments: Ukulele, Kalimba
  Hunting & Shooting: Camouflage Net, Binoculars
Phones & Accessories
  Cases & Covers: Phone Case, Flip Cover
  Screen Protectors: Tempered Film, Privacy Film
  Phone Parts: Battery, Display
  Power Banks: Power Bank, Solar Charger
  Phone Holders: Car Holder, Ring Holder
  Cables & Adapters: Data Cable, Plug
Automobiles & Motorcycles
  Auto Replacement Parts: Wiper, Brake Pad
  Car Electronics: Dash Cam, Car Stereo
  Interior Accessories: Seat Cover, Floor Mat
  Exterior Accessories: Car Sticker, Roof Box
  Motorcycle Parts: Exhaust, Glove
  Tools & Maintenance: Wrench, Jump Starter
Home Improvement
  Lighting: Night Light, Ceiling Lamp
  Electrical Equipment: Switch, Socket
  Tools: Screwdriver, Drill
  Kitchen & Bath Fixtures: Faucet, Shower Head
  Hardware: Door Lock, Hinge
  Security & Protection: Doorbell Camera, Smoke Detector
"""
_KINDS = ("", "Smart ", "Mini ", "Designer ", "DIY ", "Travel ", "Professional ", "Spare ")
_NOUNS_ZH = [
    "卫衣",
    "连衣裙",
    "收纳盒",
    "项链",
    "背包",
    "玩具",
    "牛仔裤",
    "耳机",
    "面膜",
    "狗窝",
    "帐篷",
    "手机壳",
    "坐垫",
    "夜灯",
    "键盘",
    "手表",
    "拖鞋",
    "水杯",
    "灯带",
    "假发",
    "渔具",
    "充电宝",
    "工具",
    "围巾",
]


class Category(Struct, frozen=True):
    """A leaf of the tree with the two levels above it. `noun` is what is sold in it."""

    id: str
    name: str
    two_id: str
    two_name: str
    one_id: str
    one_name: str
    noun: str
    noun_zh: str


@cache
def category_tree() -> tuple[Category, ...]:
    """The leaves, in the order of the tree. The same in every sandbox, as CJ's are the same for every user."""
    rng = random.Random("categories")
    seconds = _second_levels()
    ids = {name: _guid(rng) for one, two, _ in seconds for name in (one, f"{one}/{two}")}
    leaves: list[Category] = []
    for place, (one, two, nouns) in enumerate(seconds):
        # Every second level has six leaves, and the first ones a seventh, so that they are 577.
        for number in range(6 + (place < LEAVES - 6 * len(seconds))):
            noun = nouns[number % 2]
            plural = noun if noun.endswith("s") else f"{noun}s"
            name = f"{_KINDS[number // 2]}{plural}" if number else f"{two} & {plural}"
            noun_zh = _NOUNS_ZH[len(leaves) % len(_NOUNS_ZH)]
            leaves.append(Category("", name, ids[f"{one}/{two}"], two, ids[one], one, noun, noun_zh))
    guids = set(rng.sample(range(len(leaves)), GUID_LEAVES))
    return tuple(
        replace(leaf, id=_guid(rng) if place in guids else str(rng.randrange(137, 175) * 10**16 + place * 10**7))
        for place, leaf in enumerate(leaves)
    )


def _second_levels() -> list[tuple[str, str, list[str]]]:
    levels = []
    one = ""
    for line in _TREE.strip().splitlines():
        if line.startswith("  "):
            two, nouns = line.strip().split(": ")
            levels.append((one, two, nouns.split(", ")))
        else:
            one = line
    return levels


def _guid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032X}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
