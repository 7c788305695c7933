#!/usr/bin/env python3
"""The stack as it would be on AWS: infra/template.yaml and zipped release binaries, deployed to ministack by `sam deploy`.

    tests/aws/end_to_end.py                 build the functions, deploy them, run the story
    tests/aws/end_to_end.py --zips FOLDER   with the zips that `sluice package` made for x86-64

One lead goes from HTTP to its owner and the owner's mailbox; one poison record goes to the dead letters while its neighbours
pass; a customer gets a message, refuses the next by its link, and is erased; every call of a function is checked against the policies of its role. What the emulator cannot do is in limits.py,
printed, and held: when it changes, this fails. Needs Rust and the packages of .ci/requirements.txt; ministack is installed
on the first run. Ends everything it started.
"""

import argparse
import json
import re
import signal
import sys
import time
from pathlib import Path

from deployed import FORM, MAIL_FROM, Deployed, build, build_sluice, lay_out, rewrite
from emulator import REGION, Emulator, say, within
from limits import LIMITS, found, gates, items

# Deliveries until a record is given up: the template's maxReceiveCount.
DELIVERIES = 5
# Well formed, and of no lead.
POISON = "not a lead's message"
# The samples' own channel names a sender that is not the stack's and keeps quiet at night; this runs at any hour.
CHANNEL = b"kind: channel\nname: email\nvia: ses\n"
# The person whom messages are about.
VERA = "vera@customer.example"


def assigned(stack, lead):
    """The lead once it has an owner, else None."""
    answer = stack.call("GET", f"/api/leads/{lead}", token=stack.token)
    assert answer.status == 200, f"GET /api/leads/{lead}: {answer}"
    return answer.body if answer.body["state"] == "assigned" else None


def mails(stack):
    """Every mail that the emulator's SES took."""
    taken = stack.emulator.get("/_ministack/ses/messages")["messages"]
    return [mail for account in taken.values() for mail in account]


def notices(stack):
    """The mails to reps; the journeys of the samples write to the customers as well."""
    return [mail for mail in mails(stack) if all(to.endswith("@example.com") for to in mail["To"])]


def everything_is_there(stack):
    """Nothing of the template was left out."""
    wanted = {id: r["Type"] for id, r in stack.expanded.resources.items()}
    made = {id: r["ResourceType"] for id, r in stack.resources.items() if r["ResourceStatus"] == "CREATE_COMPLETE"}
    assert made == wanted, f"made and described differ: {sorted(made.items() ^ wanted.items())}"
    return f"{len(made)} resources of {len(set(made.values()))} types"


def policies_are_published(stack):
    """As a person does after deploying: `sluice apply` with the token of the secret that the stack's output names."""
    refused = stack.call("GET", "/api/policies", token="of-nobody")
    assert refused.status == 401, f"a token of nobody: {refused}"
    published = stack.sluice("apply", "samples/policies").splitlines()[0].rstrip(":")
    put = stack.call("PUT", "/api/policies/channel/email", CHANNEL, stack.token, content_type="application/yaml")
    assert put.status == 200, f"PUT /api/policies/channel/email: {put}"
    return published


def a_lead_finds_its_owner(stack):
    """From the form to the owner's mailbox."""
    started = time.monotonic()
    lead = stack.post_form(first_name="Ada", email="ada@customer.example", country="DE", employees=250)
    # The functions look for new policies every two seconds; until then the form is unknown or nobody is eligible.
    routed = within(60, f"{lead} has an owner", lambda: assigned(stack, lead))
    took = time.monotonic() - started
    rep, team = routed["owner"], routed["assignment"]["team"]
    assert team == "enterprise", f"the sample rules give a large company to enterprise: {routed['assignment']}"
    mine = lambda: [mail for mail in mails(stack) if f"{rep}@example.com" in mail["To"]]
    mail = within(60, f"a mail to {rep}", mine)
    assert len(mail) == 1 and mail[0]["Source"] == MAIL_FROM, f"told once, by {MAIL_FROM}: {mail}"
    assert "Ada" in mail[0]["BodyText"] + mail[0]["Subject"], f"the mail names the lead: {mail}"
    why = json.loads(stack.sluice("explain", "lead", lead, "--json"))
    assert why["state"] == "assigned", why
    return f"owner {rep} after {took:.1f} s, told at {rep}@example.com"


def a_poison_record_fails_alone(stack):
    """A record that nobody can read between two leads, in one batch: the leads pass, it is given up after its deliveries."""
    sqs, queue, dead = stack.client("sqs"), stack.queue("LeadQueue"), stack.queue("LeadDeadLetters")
    told = len(notices(stack))
    # Five deliveries at three minutes each would be a quarter of an hour.
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    with stack.held("LeadQueue"):
        # Large accounts are looked after at any hour.
        before = stack.post_form(first_name="Grace", email="grace@customer.example", country="DE", employees=400)
        sqs.send_message(QueueUrl=queue, MessageBody=POISON)
        after = stack.post_form(first_name="Edsger", email="edsger@customer.example", country="US", employees=400)
    for lead in (before, after):
        within(30, f"{lead} has an owner in spite of its neighbour", lambda lead=lead: assigned(stack, lead))
    within(30, "the owners of both are told", lambda: len(notices(stack)) == told + 2)

    def given_up():
        letters = sqs.receive_message(QueueUrl=dead, MessageSystemAttributeNames=["All"]).get("Messages", [])
        return [letter["Body"] for letter in letters]

    letters = within(90, "the poison record is among the dead letters", given_up)
    assert letters == [POISON], f"only the poison record: {letters}"
    failed = [line for line in stack.log_lines("RouteLeadLogs") if "record failed" in line]
    assert len(failed) == DELIVERIES, f"delivered {len(failed)} times, the template says {DELIVERIES}"

    def is_empty():
        left = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return left["ApproximateNumberOfMessages"] == left["ApproximateNumberOfMessagesNotVisible"] == "0"

    # The timers may have handed something over just now.
    within(30, "nothing is left in the lead queue", is_empty)
    return f"dead after {DELIVERIES} deliveries, its neighbours assigned"


def a_bounce_stops_an_address(stack):
    """What SES would say of a mail, in EventBridge's form on the queue of the rule: a gate of the address is made."""
    bounced = [{"emailAddress": "gone@customer.example"}]
    detail = {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": bounced, "timestamp": "2026-11-28T09:00:00Z"},
        "mail": {"messageId": "mail-1", "destination": ["gone@customer.example"]},
    }
    event = {"detail-type": "Email Bounced", "source": "aws.ses", "detail": detail}
    assert [heard(stack, event, name) for name in (stack.physical("MailSet"), "another")] == [True, False]
    before = gates(stack)
    for _ in range(2):
        stack.client("sqs").send_message(QueueUrl=stack.queue("FeedbackQueue"), MessageBody=json.dumps(event))
    within(60, "the bounce is on the gate of the address", lambda: gates(stack) == before + 1)
    return "an address that bounced is suppressed"


def heard(stack, event, configuration_set):
    """Whether the rule takes what SES says of a mail that went out under this configuration set."""
    account, events = stack.client("sts").get_caller_identity()["Account"], stack.client("events")
    of = f"arn:aws:ses:{REGION}:{account}:configuration-set/{configuration_set}"
    envelope = {"id": "1", "account": account, "region": REGION, "time": "2026-11-28T09:00:01Z", "resources": [of]}
    pattern = events.describe_rule(Name=stack.physical("FeedbackRule"))["EventPattern"]
    return events.test_event_pattern(EventPattern=pattern, Event=json.dumps({**event, **envelope}))["Result"]


def ask(stack, customer):
    """A message about the product to a customer, once it is sent or left out."""
    order = {"customer": customer, "template": "welcome", "topic": "product"}
    asked = stack.call("POST", "/api/messages", json.dumps(order).encode(), stack.token)
    assert asked.status == 202, f"POST /api/messages: {asked}"
    path = f"/api/messages/{asked.body['message_id']}"

    def ended():
        message = stack.call("GET", path, token=stack.token).body
        return message if message["state"] not in ("ready", "claimed") else None

    return within(60, f"{path} is sent or left out", ended)


def a_customer_is_written_to_and_refuses(stack):
    """A message by its template to somebody who ticked the form's box; its links lead on and end its topic."""
    lead = stack.post_form(first_name="Vera", email=VERA, country="DE", employees=400, newsletter="on")
    customer = within(60, f"{lead} has an owner", lambda: assigned(stack, lead))["customer"]
    message = ask(stack, customer)
    assert message["state"] == "sent", message
    # A journey has welcomed her, too, without links that are counted.
    [mail] = [mail for mail in mails(stack) if mail["To"] == [VERA] and "/c/" in mail["BodyHtml"]]
    assert MAIL_FROM in mail["Source"] and "Vera" in mail["Subject"], mail
    links = dict(re.findall(rf"{stack.outputs['Url']}(/(.)/[^\s\"]+)", mail["BodyHtml"]))
    first = {kind: next(link for link, of in links.items() if of == kind) for kind in "ocu"}
    seen = stack.visit("GET", first["o"])
    assert (seen.status, seen.headers["content-type"]) == (200, "image/gif"), seen.headers
    led = stack.visit("GET", first["c"])
    assert led.status == 302 and led.headers["location"].startswith("https://shop.example"), led.headers
    refused = stack.visit("POST", first["u"], b"List-Unsubscribe=One-Click")
    assert refused.status == 200, refused.read()
    left_out = ask(stack, customer)
    assert (left_out["state"], left_out["reason"]) == ("skipped", "opted_out"), left_out
    return "sent, opened, clicked, refused; the next is left out"


def a_person_is_erased(stack):
    """`sluice erase` of the same person: nothing in the table names them any more."""
    [customer] = [item["pk"]["S"] for item in items(stack) if item["pk"]["S"].startswith("cu_") and VERA in str(item)]
    stack.sluice("erase", customer)
    left = [(item["pk"], item["sk"]) for item in items(stack) if VERA in str(item) or "Vera" in str(item)]
    assert not left, f"of somebody who was erased: {left}"
    return "nothing names them any more"


def the_timers_run(stack):
    """EventBridge Scheduler calls fire-timers each minute; without a right or a table it would say so in its log."""
    metrics = lambda: [line for line in stack.log_lines("FireTimersLogs") if "OldestOpenLeadSeconds" in line]
    within(100, "fire-timers ran", metrics)
    wrong = [line for line in stack.log_lines("FireTimersLogs") if '"level":"ERROR"' in line]
    assert not wrong, wrong
    return "fire-timers was called by the schedule"


def the_books_balance(stack):
    """Everything accepted reached an end."""
    ledger = json.loads(stack.sluice("ledger", "--json"))
    ended = {state: count for state, count in ledger["ended"].items() if count}
    assert ledger["adds_up"] and ledger["accepted"] == 4 and ended == {"assigned": 3, "erased": 1}, ledger
    return "4 accepted, 3 assigned, 1 erased"


def a_right_that_is_missing_is_missed(stack):
    """The control of all of the above: what a role does not allow does not happen."""
    allowed = list(stack.statements("CaptureLeadRole"))
    stack.take_policy("CaptureLeadRole", "capture-lead")
    answer = stack.call("POST", "/f/contact", b"email=late%40customer.example", content_type=FORM)
    assert answer.status == 503, f"accepted without a right to store: {answer}"
    stack.put_policy("CaptureLeadRole", "capture-lead", allowed)
    return "capture-lead without its policy answers 503"


def the_limits_are_known(stack):
    """What the emulator cannot do is what limits.py says, no more and no less."""
    missing = found(stack)
    for name, why in LIMITS.items():
        say(f"      - {name}: {why}")
    assert missing == set(LIMITS), f"limits.py is out of date: {sorted(missing ^ set(LIMITS))}"
    return f"{len(LIMITS)} limits, as named"


STORY = (
    everything_is_there,
    policies_are_published,
    a_lead_finds_its_owner,
    a_poison_record_fails_alone,
    a_bounce_stops_an_address,
    a_customer_is_written_to_and_refuses,
    a_person_is_erased,
    the_timers_run,
    the_books_balance,
    a_right_that_is_missing_is_missed,
    the_limits_are_known,
)


def timed(what, act):
    """Runs one step and says what came out and how long it took."""
    started = time.monotonic()
    result = act()
    say(f"   {what}: {result} ({time.monotonic() - started:.1f} s)")
    return result


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sluice", type=Path, help="the operator's command instead of a build of it")
    arguments.add_argument("--zips", type=Path, help="a folder of FUNCTION/bootstrap.zip for x86-64 instead of a build")
    chosen = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    binaries = None if chosen.zips else build()
    command = (chosen.sluice or build_sluice()).resolve()
    started, emulator = time.monotonic(), None
    try:
        emulator = Emulator()
        say(f"   {emulator.url}, log at {emulator.log}")
        template = lay_out(emulator.folder / "tree", binaries, chosen.zips)
        timed("rewritten for the emulator", lambda: f"{rewrite(template)} !Ref of secrets to !GetAtt Id")
        # What a person has done before: the sender is a verified identity.
        emulator.client("sesv2").create_email_identity(EmailIdentity=MAIL_FROM)
        stacks = []
        timed("sam deploy", lambda: stacks.append(Deployed(emulator, template, command)) or stacks[0].outputs["Url"])
        for step in STORY:
            try:
                timed(step.__name__.replace("_", " "), lambda: step(stacks[0]))
            except Exception:
                say(stacks[0].logs())
                raise
        say(f"   all passed in {time.monotonic() - started:.0f} s")
    except BaseException:
        if emulator:
            say(f"-- ministack\n{emulator.log.read_text()[-6000:]}")
        raise
    finally:
        if emulator:
            emulator.stop()


if __name__ == "__main__":
    main()
