"""The reputation guard over seeded years of traffic, beside what is usual, on the same emails: `make guards-sim`.
Prints the tables and writes docs/guards-simulation.md with its pictures; the same every time. Fails where a claim does
not hold.

What is simulated is the guard itself, `handlers.guarding.reputation.judge`, called at the end of every five minutes in
which anything became of an email, and not a copy of it that is faster. Everything acts at the end of the five minutes
in which it trips, and bounces are known in those in which the email was sent: that is kind to all sides alike.

`traffic` is what is sent; `guard`, `account` and `sides` say who trips when. `steady`, `worsening` and `trials` make
one run each, `simulation` all of them, and checks the claims; `tables`, `pictures` and `report` tell what came of it.
"""
