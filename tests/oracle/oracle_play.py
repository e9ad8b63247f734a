# SPDX-License-Identifier: AGPL-3.0-or-later
"""A whole sequence: its partners and first records, its steps, and what is looked at when it is over."""
from oracle_faults import Faults, set_trap
from oracle_model import KINDS, Record
from oracle_world import Stage as BareStage
from oracle_writes import Luck

SCOPES = ({"communities:read", "activities:read"}, {"consultations:write", "communities:write"}, {"codes:read", "codes:write", "risks:read", "communities:read"})


class Stage(BareStage):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        set_trap(self)
        play = Play(self)
        for name in ("boundary-sets", "risk-scales"):
            kind = KINDS[name]
            texts = play.texts(self.host_partner, kind)
            answer = play.ask(self.administrator, "POST", f"/v1/{name}", body={**kind.fixed, **texts, "visibility": "public"}, expect={201})
            play.made(self.administrator, Record(name, self.host_partner), answer, texts, "public")
        play.settle()
        self.base = play.records


class Play(Faults):
    feed_start = None

    def begin(self, data):
        luck = Luck(data)
        self.stage.proxy.heal()
        self.feed_start = self.stage.feed_end()
        for number in range(2 + luck.number(2)):
            partner = self.partner(number + 1)
            self.account(self.stage.administrator, partner, luck.pick(("officer", "manager")), luck.pick(SCOPES))
        if luck.number(2):
            first = self.partners[0]
            self.account(first.callers[0], first, "manager", kind="person")  # from now on its accounts are its own business
        for role in ("officer", "manager"):
            self.account(self.stage.administrator, self.stage.host_partner, role)
        for _ in range(6):
            caller = luck.pick(self.partners).callers[luck.number(2)]
            self.create(luck, caller, KINDS[luck.pick(("communities", "activities", "consultations", "codes", "risk-registers"))], caller.partner)

    def do(self, name, data):
        getattr(self, name)(Luck(data))

    def end(self, data=b""):
        self.sweep(Luck(data))
        self.settle()
        for number in (1, 3, -1, 0):
            self.feed_is_complete(self.ready(self.callers[number]))
