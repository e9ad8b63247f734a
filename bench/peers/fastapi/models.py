# SPDX-License-Identifier: AGPL-3.0-or-later
"""The bodies that are accepted. What is not given is not part of a change, so defaults are the database's."""
import datetime
import typing

import pydantic


def text(longest, shortest=1, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"):
    return pydantic.constr(strict=True, min_length=shortest, max_length=longest, regex=pattern)


def line(longest):
    return text(longest, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")


def array(item, most, unique=True):
    return pydantic.conlist(item, max_items=most, unique_items=unique)


class Day(str):
    """A date as text: the database reads it."""

    @classmethod
    def __get_validators__(cls):
        yield cls.check

    @classmethod
    def check(cls, value):
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError("no date")
        datetime.date.fromisoformat(value)
        return value


Uuid = pydantic.constr(strict=True, regex=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")
Prose = typing.Optional[text(4000)]
Precision = typing.Literal["day", "month", "year"]
Status = typing.Literal["idea", "planned", "approved", "open", "closed", "analysed", "fed_back", "evaluated", "cancelled"]
Trigger = typing.Literal["significant_decision", "agree_priorities", "design_services", "plan_services", "procure_services", "measure_performance", "develop_policy"]


class Model(pydantic.BaseModel):
    class Config:
        extra = "forbid"


class Grant(Model):
    partner_id: Uuid
    right: typing.Literal["read", "write"]


class Part(Model):
    partner_id: Uuid
    role: typing.Literal["lead", "joint", "contributes", "informed", "declined"]
    reason: typing.Optional[line(500)]


class Patch(Model):
    partner_id: Uuid = ""
    visibility: typing.Literal["private", "shared", "public"] = ""
    grants: array(Grant, 100, False) = []
    external_id: typing.Optional[line(200)]
    source: typing.Optional[text(2000)]
    title: line(200) = ""
    summary: Prose
    status: Status = ""
    trigger: typing.Optional[Trigger]
    stage: typing.Optional[typing.Literal["planning", "development", "delivery", "evaluation"]]
    topics: array(line(200), 20) = []
    audiences: array(line(200), 50) = []
    methods: array(line(200), 20) = []
    everyone: pydantic.StrictBool = False
    locality_ids: array(Uuid, 500) = []
    community_ids: array(Uuid, 100) = []
    partners: array(Part, 50, False) = []
    service_area_id: typing.Optional[Uuid]
    lead_contact_id: typing.Optional[Uuid]
    sponsor_contact_id: typing.Optional[Uuid]
    referral_contact_id: typing.Optional[Uuid]
    level: typing.Optional[line(100)]
    take_part_url: typing.Optional[text(2000, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://")]
    take_part_how: Prose
    contact: typing.Optional[line(500)]
    purpose: Prose
    relevance: Prose
    intended_outcome: Prose
    can_influence: Prose
    cannot_influence: Prose
    use_of_information: Prose
    constraints: Prose
    options: array(line(200), 20, False) = []
    statutory: pydantic.StrictBool = False
    legal_basis: typing.Optional[line(500)]
    announced_on: typing.Optional[Day]
    open_on: typing.Optional[Day]
    open_on_precision: Precision = "day"
    close_on: typing.Optional[Day]
    close_on_precision: Precision = "day"
    when_text: typing.Optional[line(500)]
    feedback_how: Prose
    feedback_due_on: typing.Optional[Day]
    round_of_id: typing.Optional[Uuid]
    planned_hours: typing.Optional[pydantic.conint(strict=True, ge=0, le=1000000)]
    notes: Prose
    retrospective: pydantic.StrictBool = False
    as_at: typing.Optional[Day]
    cancelled_reason: Prose


class Create(Patch):
    title: line(200)
