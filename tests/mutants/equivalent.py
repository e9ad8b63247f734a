# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mutants that change nothing that anybody could notice, each with the proof. As few as can be: whatever could be noticed gets a test instead."""

PROOFS = {
    # A boundary set is administered: to refer to one takes wardmote.may_administer(). Who writes a locality is asked just that before (sql_forbidden, R_ADMIN), and
    # is answered 403 where it is not so: the row of the fault about the reference is never made.
    "field:localities.boundary_set_id:any reference": "the writer was asked for the same right before",
}
