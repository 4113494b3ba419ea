"""What CloudWatch would do, answered offline: alarms, dashboards, the bill and a change's review.

The toolkit reads resources as a Pulumi program registers them, or as a live account describes them, and knows nothing
of what they are for: it works on any Pulumi Python program and any account.
"""
