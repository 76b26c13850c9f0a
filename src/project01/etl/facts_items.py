"""Which reported concepts mean which item of a company's accounts."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

# flow: an amount of a period, in USD; instant: an amount at a day, in USD; count: a number of shares at a day; mean:
# a mean number of shares over a period; per_share: an amount a share of a period.
Kind: TypeAlias = Literal["flow", "instant", "count", "mean", "per_share"]


@dataclass(frozen=True)
class Item:
    """One item of the accounts.

    Attributes:
        name: as inputs and features call it.
        kind: what sort of number it is.
        concepts: names it is reported under; where a company reports several for one period, the first here counts.
            Names are those of us-gaap, with ``dei:`` those of dei, then those of other sources of this project: the
            columns of pystock's reports and LSEG's fields without ``TR.``.
    """

    name: str
    kind: Kind
    concepts: tuple[str, ...]


FLOWS = (
    Item(
        "revenue",
        "flow",
        (
            "Revenues",
            "RevenueFromContractWithCustomerExcludingAssessedTax",
            "RevenueFromContractWithCustomerIncludingAssessedTax",
            "SalesRevenueNet",
            "SalesRevenueGoodsNet",
            "SalesRevenueServicesNet",
            "revenues",
            "Revenue",
        ),
    ),
    Item("cost_of_revenue", "flow", ("CostOfRevenue", "CostOfGoodsAndServicesSold", "CostOfGoodsSold")),
    Item("gross_profit", "flow", ("GrossProfit",)),
    Item("operating_income", "flow", ("OperatingIncomeLoss", "op_income", "OperatingIncome")),
    Item("net_income", "flow", ("NetIncomeLoss", "ProfitLoss", "net_income", "NetIncome")),
    Item(
        "operating_cash_flow",
        "flow",
        (
            "NetCashProvidedByUsedInOperatingActivities",
            "NetCashProvidedByUsedInOperatingActivitiesContinuingOperations",
            "cash_flow_op",
            "CashFromOperatingActivities",
        ),
    ),
    Item(
        "capital_expenditure",
        "flow",
        ("PaymentsToAcquirePropertyPlantAndEquipment", "PaymentsToAcquireProductiveAssets"),
    ),
    Item("dividends", "flow", ("PaymentsOfDividendsCommonStock", "PaymentsOfDividends")),
    Item("repurchases", "flow", ("PaymentsForRepurchaseOfCommonStock",)),
    Item("issuance", "flow", ("ProceedsFromIssuanceOfCommonStock",)),
    Item("research", "flow", ("ResearchAndDevelopmentExpense",)),
)
INSTANTS = (
    Item("assets", "instant", ("Assets", "assets", "TotalAssetsReported")),
    Item("current_assets", "instant", ("AssetsCurrent", "cur_assets")),
    Item("current_liabilities", "instant", ("LiabilitiesCurrent", "cur_liab")),
    Item("liabilities", "instant", ("Liabilities",)),
    Item(
        "equity",
        "instant",
        ("StockholdersEquity", "StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest", "equity"),
    ),
    Item(
        "cash",
        "instant",
        (
            "CashAndCashEquivalentsAtCarryingValue",
            "CashCashEquivalentsRestrictedCashAndRestrictedCashEquivalents",
            "Cash",
            "cash",
        ),
    ),
    Item("long_term_debt", "instant", ("LongTermDebt", "LongTermDebtNoncurrent")),
)
SHARES = (
    Item("shares", "count", ("dei:EntityCommonStockSharesOutstanding", "CommonStockSharesOutstanding")),
    Item("diluted_shares", "mean", ("WeightedAverageNumberOfDilutedSharesOutstanding",)),
    Item(
        "diluted_earnings_per_share",
        "per_share",
        ("EarningsPerShareDiluted", "EarningsPerShareBasicAndDiluted", "eps_diluted"),
    ),
)
ITEMS = (*FLOWS, *INSTANTS, *SHARES)
# Sums of money count in USD only; the sources do not agree on how they write the unit of the others.
_UNITS: dict[Kind, tuple[str, ...]] = {"flow": ("USD",), "instant": ("USD",)}


@dataclass(frozen=True)
class Meaning:
    """What a concept stands for.

    Attributes:
        place: of the item in `ITEMS`.
        rank: place among the item's concepts, 0 the best.
        units: the units accepted; empty: any.
    """

    place: int
    rank: int
    units: tuple[str, ...]


MEANINGS: dict[str, Meaning] = {
    concept: Meaning(place, rank, _UNITS.get(item.kind, ()))
    for place, item in enumerate(ITEMS)
    for rank, concept in enumerate(item.concepts)
}
