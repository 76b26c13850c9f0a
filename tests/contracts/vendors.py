"""The vendors that the contract suite runs on: each module named here has a `CASE`. Adding one line adds the card."""

from tests.contracts import (
    bloomberg_case,
    edgar_case,
    fred_case,
    lseg_case,
    newsapi_case,
    polygon_case,
    quandl_case,
    ravenpack_case,
    toy_vendor,
    twitter_case,
)
from tests.contracts.vendor_case import VendorCase

CASES: tuple[VendorCase, ...] = (
    toy_vendor.CASE,
    polygon_case.CASE,
    newsapi_case.CASE,
    twitter_case.CASE,
    fred_case.CASE,
    quandl_case.CASE,
    edgar_case.CASE,
    bloomberg_case.CASE,
    lseg_case.CASE,
    ravenpack_case.CASE,
)
