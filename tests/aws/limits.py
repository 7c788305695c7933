"""What ministack does not do of what the template asks. Each is looked for, not believed: end_to_end.py fails when one is
gone, so that its work-around goes too, and when a new one comes."""

import json
import time

from deployed import MAIL_FROM, ON_TOP, emulators_terms, name_of, text_of
from emulator import within

# Name: what that leaves untested, or what is done about it.
LIMITS = {
    "memory": "functions are processes of this machine, not of the provided.al2023 image; nothing limits their memory",
    "reserved-concurrency": "no function has its ReservedConcurrentExecutions",
    "recursive-loop": "no function has its RecursiveLoop, and chains of calls through a queue are not counted",
    "point-in-time-recovery": "the table has none",
    "table-encryption": "the table is not encrypted with KMS",
    "time-to-live": "the table's items do not expire",
    "api-throttling": "the stage has no limits",
    "api-access-log": "the stage writes no access log",
    "api-permission": "the API calls a function that does not permit it",
    "queue-metrics": "no AWS/SQS metrics, so no alarm on a queue can go off",
    "embedded-metrics": "metrics in log lines stay text, so no alarm in the namespace Sluice can go off",
    "log-format": "the platform's own log lines are text where the template says JSON",
    "log-rights": "a function writes its log without a right to",
    "event-source-rights": "a queue is read for a function whose role may not receive",
    "secret-ref": "the Ref of a secret is its name: rewritten to the attribute Id, which is the ARN",
    "secret-alphabet": "GenerateSecretString knows no ExcludePunctuation and no ExcludeUppercase",
    "ses-identity": "ses:SendEmail is checked against *, not the sender: granted on top",
    "mail-events": "SES says nothing of mails sent under a configuration set: the rule and its queue policy are never asked",
    "sqs-batch": "SendMessageBatch wants a right of its own where AWS asks for sqs:SendMessage: granted on top",
}


def found(stack):
    """The names of what is missing, as far as it shows. Takes rights away: nothing works as before afterwards."""
    looks = (settings, table, metrics, logs, secrets, events, rights)
    return {name for look in looks for name, missing in look(stack) if missing}


def settings(stack):
    functions, stage = stack.client("lambda"), stack.client("apigatewayv2").get_stage(ApiId=stack.api, StageName="$default")
    reserving = [id for id, p in stack.expanded.of("AWS::Lambda::Function").items() if "ReservedConcurrentExecutions" in p]
    reserved = [functions.get_function_concurrency(FunctionName=stack.physical(id)) for id in reserving]
    yield "reserved-concurrency", not all("ReservedConcurrentExecutions" in answer for answer in reserved)
    looping = [id for id, p in stack.expanded.of("AWS::Lambda::Function").items() if "RecursiveLoop" in p]
    loops = [functions.get_function_recursion_config(FunctionName=stack.physical(id)) for id in looping]
    yield "recursive-loop", not all(answer["RecursiveLoop"] == "Allow" for answer in loops)
    yield "api-throttling", "ThrottlingRateLimit" not in stage["DefaultRouteSettings"]


def table(stack):
    name, dynamodb = stack.outputs["TableName"], stack.client("dynamodb")
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    yield "point-in-time-recovery", backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] != "ENABLED"
    yield "time-to-live", expiry["TimeToLiveStatus"] != "ENABLED"
    yield "table-encryption", "SSEDescription" not in dynamodb.describe_table(TableName=name)["Table"]


def metrics(stack):
    known = stack.client("cloudwatch").list_metrics()["Metrics"]
    namespaces = {metric["Namespace"] for metric in known}
    yield "queue-metrics", "AWS/SQS" not in namespaces
    yield "embedded-metrics", "Sluice" not in namespaces


def logs(stack):
    written = stack.log_lines("RouteLeadLogs")
    yield "memory", any("Max Memory Used: 0 MB" in line for line in written)
    yield "log-format", any(line.startswith("START RequestId") for line in written)
    yield "api-access-log", not stack.log_lines("ApiLogs")


def secrets(stack):
    yield "secret-ref", not stack.physical("HashKeySecret").startswith("arn:")
    yield "secret-alphabet", not stack.token.isalnum()


def events(stack):
    before = gates(stack)
    stack.client("sesv2").send_email(
        FromEmailAddress=MAIL_FROM,
        ConfigurationSetName=stack.physical("MailSet"),
        Destination={"ToAddresses": ["bounce@simulator.amazonses.com"]},
        Content={"Simple": {"Subject": {"Data": "events"}, "Body": {"Text": {"Data": "events"}}}},
    )
    yield "mail-events", not soon(lambda: gates(stack) > before)


def rights(stack):
    # With the template's rights only.
    for role in stack.expanded.of("AWS::IAM::Role"):
        if any(any(emulators_terms(statement)) for statement in stack.statements(role)):
            stack.take_policy(role, ON_TOP)
    alone = stack.post_form(first_name="Barbara", email="barbara@customer.example", country="US", employees=400)
    told = within(30, f"the notice of {alone} was tried", lambda: notice_of(stack, alone))
    yield "ses-identity", (told["state"], told.get("note")) == ("ready", "AccessDeniedException")

    with stack.held("LeadQueue"):
        two = [stack.post_form(first_name=name, email=f"{name}@customer.example", country="US", employees=400) for name in ("Ida", "Joan")]
    yield "sqs-batch", not soon(lambda: all(notice_of(stack, lead) for lead in two))

    permissions = stack.expanded.of("AWS::Lambda::Permission").values()
    [permitted] = {name_of(p["FunctionName"]) for p in permissions if "/api/" in text_of(p["SourceArn"])}
    functions, function = stack.client("lambda"), stack.physical(permitted)
    for statement in json.loads(functions.get_policy(FunctionName=function)["Policy"])["Statement"]:
        functions.remove_permission(FunctionName=function, StatementId=statement["Sid"])
    yield "api-permission", stack.call("GET", "/api/ledger", token=stack.token).status == 200

    stack.take_policy("RouteLeadRole", "route-lead")
    before = len(stack.log_lines("RouteLeadLogs"))
    stack.client("sqs").send_message(QueueUrl=stack.queue("LeadQueue"), MessageBody="{}")
    called = soon(lambda: len(stack.log_lines("RouteLeadLogs")) > before)
    yield "event-source-rights", called
    yield "log-rights", called


def gates(stack):
    """How many addresses something is known of."""
    return sum(item["pk"]["S"].startswith("gate#email#") for item in items(stack))


def items(stack):
    """Everything in the table."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["TableName"])
    return [item for page in pages for item in page["Items"]]


def soon(look):
    """Whether it is so within five seconds."""
    end = time.monotonic() + 5
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def notice_of(stack, lead):
    """The notice of a lead's assignment once it was tried, else None: what was refused for want of a right waits, with a note."""
    owner = stack.call("GET", f"/api/leads/{lead}", token=stack.token).body.get("owner")
    sent = stack.call("GET", f"/api/messages?rep={owner}", token=stack.token).body["messages"] if owner else []
    return next((m for m in sent if m["lead"] == lead and (m["state"] in ("sent", "failed") or m.get("note"))), None)
