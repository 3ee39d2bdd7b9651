"""What each channel means, twice: what is booked under it (accounting), and what its switch-off holds fixed (counterfactual)."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """``booked``: losses under the tag (``loss_<channel>``). ``caused_by``: their ``from_agent``. ``off``: what ``channels.NAME=false`` does.

    ``contribution_<channel>`` is the loss with all channels on less that with this one off.
    """

    booked: str
    caused_by: str
    off: str


_MADE_GOOD = "Outside makes the loss good in cash; it is then ordinary"

MEANINGS: dict[str, Meaning] = {
    "direct": Meaning(
        "shares revalued by a lever; price falls from surprises of the policy rate, of demand levers and of the expectation lever",
        "the issuer; `reason` is `shock`", "has no switch: choose `shock=none`",
    ),
    "counterparty": Meaning(
        "loans, rents and bills that an estate leaves unpaid; what a borrower without recourse walks away from", "the debtor", _MADE_GOOD,
    ),
    "orders": Meaning("unpaid order bills and damages for broken take-or-pay contracts", "the buyer that failed", _MADE_GOOD),
    "equity": Meaning(
        "stakes that fall because others' decisions moved the issuer's sales or the growth expected of it, because of short sellers, or because "
        "the issuer failed", "the issuer, or the short seller", _MADE_GOOD,
    ),
    "margin": Meaning(
        "what a borrower loses by selling pledged shares, or a holder above its leverage limit by selling assets, into a falling price",
        "the seller itself",
        _MADE_GOOD + "; the sale and its effect on the price happen all the same",
    ),
    "fire_sale": Meaning(
        "marks of shares and securities that a forced sale moves; what an estate's assets fetch below book; costs of bankruptcy",
        "whoever sold, each by its part; the estate itself", _MADE_GOOD,
    ),
    "funding": Meaning(
        "interest above a slot's opening rate; stakes sold to pay overdue bills; assets sold for redemptions, or in haste after a refused renewal",
        "the lender; the seller itself; Outside, whose money the funds hold", _MADE_GOOD,
    ),
    "guarantee": Meaning(
        "what sellers of protection owe on called guarantees and swaps, and what buyers do not get of it",
        "the agent whose default was insured; the seller that failed", _MADE_GOOD + "; the buyer still receives",
    ),
    "spread": Meaning("nothing", "", "lenders see CDS and leverage of the unshocked world: acceptance and the rate of new loans follow those"),
    "expectation": Meaning("nothing", "", "prices move with the growth news of the unshocked world"),
    "power": Meaning("nothing", "", "of what is built, the share that power allows in the unshocked world is switched on"),
    "household": Meaning("nothing", "", "firms meet the household demand of the unshocked world"),
    "short": Meaning("nothing", "", "short sellers press as in the unshocked world"),
}  # fmt: skip
"""All channels and ``direct``, in the order of the tables."""
