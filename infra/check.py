#!/usr/bin/env python3
"""Holds infra/template.yaml to the rules of this project.

    infra/check.py               expand the template, lint what comes out, enforce the rules
    infra/check.py --self-test   break the template once per rule, in memory: each rule must notice
    infra/check.py --rules       list the rules

cfn-lint does not see what AWS SAM makes of a function (a visibility shorter than the function's timeout passes), so the
template is expanded with aws-sam-translator first. Needs: pip install aws-sam-translator cfn-lint.
"""

import argparse
import copy
import json
import logging
import os
import re
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

# The translator remarks on statistics that it would have sent.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

TEMPLATE = Path(__file__).resolve().parent / "template.yaml"
FUNCTIONS = TEMPLATE.parent.parent / "functions"

# Actions that AWS cannot restrict to a resource, each with the page that says so. None is used today.
NO_RESOURCE_LEVEL = {}
# What looking through dead letters takes: each is hidden while it is looked at, then deleted or shown again.
LOOK = ("GetQueueAttributes", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")
# HTTP APIs give up on an integration after this many seconds (API Gateway quotas).
LONGEST_INTEGRATION = 30
# The function that answers what has no route.
ELSEWHERE = "ServeConsole"
# How the keys that are kept are generated. CloudFormation makes another value as soon as any of it is edited.
GENERATED = {
    "SecretStringTemplate": '{"version":"1"}',
    "GenerateStringKey": "current",
    "PasswordLength": 64,
    "ExcludePunctuation": True,
    "ExcludeUppercase": True,
    "ExcludeCharacters": "ghijklmnopqrstuvwxyz",
    "RequireEachIncludedType": False,
}
# What must not reach the access log: variables of API Gateway that identify a person or show what they asked for.
PERSONAL = ("identity.", "authorizer.", "context.path", "domainName", "rawQueryString", "userAgent", "header", "error.message")


class Stack:
    """The template as written (`source`) and as CloudFormation gets it (`expanded`)."""

    def __init__(self, source):
        self.source = source
        self.expanded = expand(source)
        self.resources = self.expanded["Resources"]

    def of(self, kind):
        """Properties of every resource of one type, by logical id."""
        return {id: r.get("Properties", {}) for id, r in self.resources.items() if r["Type"] == kind}

    def number(self, value):
        """A literal number, or the default of the parameter that stands for it; None for anything else."""
        if isinstance(value, dict) and "Ref" in value:
            value = self.expanded.get("Parameters", {}).get(value["Ref"], {}).get("Default")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def sources(self):
        """(id, properties, queue, function) of every event source mapping."""
        for id, p in self.of("AWS::Lambda::EventSourceMapping").items():
            yield id, p, name_of(p.get("EventSourceArn")), name_of(p.get("FunctionName"))

    def dead_letters(self):
        """The queue that failed messages move to, by the queue they came from."""
        queues = self.of("AWS::SQS::Queue")
        pairs = {q: name_of(p.get("RedrivePolicy", {}).get("deadLetterTargetArn")) for q, p in queues.items()}
        return {q: d for q, d in pairs.items() if d in queues}

    def routes(self):
        """(id, properties, integration, function) of every route."""
        integrations = self.of("AWS::ApiGatewayV2::Integration")
        for id, p in self.of("AWS::ApiGatewayV2::Route").items():
            found = re.fullmatch(r"integrations/\$\{(\w+)\}", text_of(p.get("Target")))
            integration = found[1] if found else None
            yield id, p, integration, name_of(integrations.get(integration, {}).get("IntegrationUri"))

    def public(self):
        """Functions that anybody can call over HTTP."""
        return {function for _, _, _, function in self.routes() if function}

    def statements(self):
        """(role, statement) of every policy that belongs to a role."""
        for id, p in self.of("AWS::IAM::Role").items():
            for policy in p.get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield id, statement


def expand(source):
    """The template after the SAM transform. CodeUri is a file here and a place in S3 there; any place does."""
    source = copy.deepcopy(source)
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return Translator({}, Parser()).translate(source, {})


def many(value):
    """A value that may be one or a list, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def name_of(value):
    """The logical id behind a !Ref or a !GetAtt, else None."""
    if not isinstance(value, dict):
        return None
    if "Ref" in value:
        return value["Ref"]
    attribute = value.get("Fn::GetAtt")
    return attribute.split(".")[0] if isinstance(attribute, str) else attribute[0] if attribute else None


def text_of(value):
    """The text of a literal or a !Sub."""
    if isinstance(value, dict):
        value = value.get("Fn::Sub", "")
        value = value[0] if isinstance(value, list) else value
    return value if isinstance(value, str) else ""


RULES = {}
REASONS = {}


def rule(id, reason):
    """A rule: a function from a stack to (logical id, what is wrong) pairs."""

    def register(check):
        RULES[id], REASONS[id] = check, reason
        return check

    return register


# Roles ----------------------------------------------------------------------------------------------------------------


@rule("role-own", "a shared role gives each function what any of them needs")
def role_own(stack):
    roles, used = stack.of("AWS::IAM::Role"), Counter()
    for id, p in stack.of("AWS::Lambda::Function").items():
        role = name_of(p.get("Role"))
        used[role] += 1
        if role != f"{id}Role" or id + "Role" not in stack.source["Resources"]:
            yield id, f"its role is {role}, not its own {id}Role"
        elif roles[role].get("ManagedPolicyArns"):
            yield role, "has managed policies, which reach further than one function"
    for id, r in stack.resources.items():
        if r["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            yield id, "what a role may do stands in the role"


@rule("role-actions", "a wildcard grants what AWS adds next year")
def role_actions(stack):
    for id, statement in stack.statements():
        if "NotAction" in statement:
            yield id, "uses NotAction"
        for action in many(statement.get("Action")):
            if "*" in action:
                yield id, f"may do {action}"


@rule("role-resources", "a function reaches its own table, queues and secrets, nothing else in the account")
def role_resources(stack):
    for id, statement in stack.statements():
        if "NotResource" in statement:
            yield id, "uses NotResource"
        for resource in many(statement.get("Resource")):
            text = text_of(resource)
            everywhere = "*" in text and "${AWS::AccountId}" not in text and not re.match(r"\$\{\w+\.Arn\}", text)
            if everywhere and not all(a in NO_RESOURCE_LEVEL for a in many(statement.get("Action"))):
                yield id, f"reaches {text} with {', '.join(many(statement.get('Action')))}"


@rule("role-fits", "a queue, secret or log that is named but not permitted fails on the first message; the reverse is excess")
def role_fits(stack):
    queues, secrets = stack.of("AWS::SQS::Queue"), stack.of("AWS::SecretsManager::Secret")
    dead = set(stack.dead_letters().values())
    for id, p in stack.of("AWS::Lambda::Function").items():
        needs = {(f"logs:{verb}", name_of(p.get("LoggingConfig", {}).get("LogGroup"))) for verb in ("CreateLogStream", "PutLogEvents")}
        for value in p.get("Environment", {}).get("Variables", {}).values():
            if name_of(value) in dead:
                needs |= {(f"sqs:{verb}", name_of(value)) for verb in LOOK}
            elif name_of(value) in queues:
                needs.add(("sqs:SendMessage", name_of(value)))
            if name_of(value) in secrets or text_of(value).endswith("/sources"):
                needs.add(("secretsmanager:GetSecretValue", name_of(value) or text_of(value)))
        for _, _, queue, function in stack.sources():
            if function == id:
                needs |= {(f"sqs:{verb}", queue) for verb in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}
        has = {
            (action, name_of(resource) or text_of(resource).partition(":secret:")[2].removesuffix("/*"))
            for role, statement in stack.statements()
            if role == name_of(p.get("Role"))
            for action in many(statement.get("Action"))
            for resource in many(statement.get("Resource"))
            if action.split(":")[0] in ("logs", "sqs", "secretsmanager")
        }
        for action, on in sorted(needs - has, key=str):
            yield id, f"needs {action} on {on}"
        for action, on in sorted(has - needs, key=str):
            yield id, f"may {action} on {on}, which neither its variables nor its source name"


# Queues ---------------------------------------------------------------------------------------------------------------


@rule("queue-visibility", "a message seen again while it is still worked on is decided twice: at least six times the timeout")
def queue_visibility(stack):
    queues, functions = stack.of("AWS::SQS::Queue"), stack.of("AWS::Lambda::Function")
    for id, p, queue, function in stack.sources():
        timeout = stack.number(functions.get(function, {}).get("Timeout")) if function else None
        visible = stack.number(queues.get(queue, {}).get("VisibilityTimeout", 30)) if queue else None
        if timeout is None or visible is None:
            yield id, f"cannot tell the visibility of {queue} or the timeout of {function}"
        elif visible < 6 * timeout + p.get("MaximumBatchingWindowInSeconds", 0):
            yield queue, f"is invisible for {visible} s, {function} may run {timeout} s"


@rule("queue-dead-letters", "what fails five times is kept for a person, never dropped and never retried for ever")
def queue_dead_letters(stack):
    queues, pairs = stack.of("AWS::SQS::Queue"), stack.dead_letters()
    for id, p in queues.items():
        if id in pairs.values():
            continue
        count = stack.number(p.get("RedrivePolicy", {}).get("maxReceiveCount"))
        kept = stack.number(p.get("MessageRetentionPeriod", 345600))
        if id not in pairs:
            yield id, "has no dead-letter queue"
        elif count is None or count < 5:
            yield id, f"gives up after {count} receives"
        elif queues[pairs[id]].get("MessageRetentionPeriod") != 1209600 or kept >= 1209600:
            yield pairs[id], "keeps a message for less than 14 days, or no longer than the queue it comes from"
    for dead, count in Counter(pairs.values()).items():
        if count > 1:
            yield dead, "takes the dead letters of two queues"


@rule("queue-encrypted", "a queued lead is personal data at rest")
def queue_encrypted(stack):
    for id, p in stack.of("AWS::SQS::Queue").items():
        if p.get("SqsManagedSseEnabled") is not True and not p.get("KmsMasterKeyId"):
            yield id, "is not encrypted"


@rule("queue-alarms", "nobody looks at a queue until it has been full for a day")
def queue_alarms(stack):
    seen = set()
    for id, p in stack.of("AWS::CloudWatch::Alarm").items():
        if not p.get("AlarmActions"):
            yield id, "tells nobody"
        for dimension in p.get("Dimensions", []):
            queue = name_of(dimension["Value"])
            if p["Namespace"] == "AWS/SQS" and p["ComparisonOperator"] == "GreaterThanThreshold":
                limit = 0 if p["MetricName"] == "ApproximateNumberOfMessagesVisible" else 3600
                if p["Threshold"] <= limit and p["Statistic"] == "Maximum":
                    seen.add((queue, p["MetricName"]))
    for queue, dead in stack.dead_letters().items():
        if (dead, "ApproximateNumberOfMessagesVisible") not in seen:
            yield dead, "no alarm on its first message"
        if (queue, "ApproximateAgeOfOldestMessage") not in seen:
            yield queue, "no alarm on the age of its oldest message"


@rule("call-alarms", "what a door or a schedule does not take is in no ledger and on no queue, so nobody ever misses it")
def call_alarms(stack):
    seen = set()
    for p in stack.of("AWS::CloudWatch::Alarm").values():
        if p["ComparisonOperator"] == "GreaterThanThreshold" and p["Threshold"] == 0 and p["Statistic"] == "Sum":
            seen.update((p["Namespace"], p["MetricName"], name_of(one["Value"])) for one in p.get("Dimensions", []))
    for id in stack.of("AWS::ApiGatewayV2::Api"):
        if ("AWS/ApiGateway", "5xx", id) not in seen:
            yield id, "no alarm on calls that it does not take"
    for id, p in stack.of("AWS::Scheduler::Schedule").items():
        function = name_of(p["Target"]["Arn"])
        if ("AWS/Lambda", "Errors", function) not in seen:
            yield function, "no alarm on its failing, though nobody repeats what a schedule calls"


@rule("own-metrics", "two stacks of an account would set off each other's alarms")
def own_metrics(stack):
    for id, p in stack.of("AWS::CloudWatch::Alarm").items():
        if p["Namespace"] == "Sluice" and {"Name": "Stack", "Value": {"Ref": "AWS::StackName"}} not in p.get("Dimensions", []):
            yield id, "watches the metrics of every stack"


@rule("source-partial-failures", "without it one poison record repeats its whole batch")
def source_partial_failures(stack):
    for id, p, _, _ in stack.sources():
        if p.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield id, "does not report failures by record"


@rule("source-concurrency", "conflicts on one team item grow with the number of batches at one time")
def source_concurrency(stack):
    for id, p, _, _ in stack.sources():
        if not p.get("ScalingConfig", {}).get("MaximumConcurrency"):
            yield id, "has no maximum concurrency"


@rule("loop-allowed", "Lambda ends a chain of calls after some 16, long before a look at everybody; where there is no loop, it may")
def loop_allowed(stack):
    functions, readers = stack.of("AWS::Lambda::Function"), {}
    for _, _, queue, function in stack.sources():
        readers.setdefault(queue, set()).add(function)
    calls = {
        id: set().union(*(readers.get(name_of(value), ()) for value in p.get("Environment", {}).get("Variables", {}).values()))
        for id, p in functions.items()
    }
    for id, p in functions.items():
        reached, ahead = set(), {id}
        while ahead:
            ahead = set().union(*(calls.get(function, ()) for function in ahead)) - reached
            reached |= ahead
        said = p.get("RecursiveLoop")
        if id in reached and said != "Allow":
            yield id, "may send to a queue that leads back to it, and does not say RecursiveLoop: Allow"
        elif id not in reached and said is not None:
            yield id, "says what becomes of a loop, and is in none"


# What comes from other services ---------------------------------------------------------------------------------------


@rule("queue-policy", "whoever may write to the queue of feedback can stop every mail to anybody")
def queue_policy(stack):
    queues = stack.of("AWS::SQS::Queue")
    for id, p in stack.of("AWS::SQS::QueuePolicy").items():
        listed = {name_of(queue) for queue in many(p.get("Queues"))}
        for statement in p["PolicyDocument"]["Statement"]:
            if set(statement.get("Principal", {})) != {"Service"} or statement.get("Action") != ["sqs:SendMessage"]:
                yield id, "lets in more than a service that sends"
            if name_of(statement.get("Resource")) not in listed & set(queues):
                yield id, "is not about the queue that it is on"
            sources = [v for tests in statement.get("Condition", {}).values() for k, v in tests.items() if k == "aws:SourceArn"]
            own = [s for s in sources if name_of(s) in stack.resources or "${AWS::AccountId}" in text_of(s)]
            if not sources or len(own) != len(sources):
                yield id, "lets in the service on behalf of another account"


@rule("rule-delivered", "EventBridge drops what a queue's policy refuses, and nobody hears of it")
def rule_delivered(stack):
    let_in = set()
    for p in stack.of("AWS::SQS::QueuePolicy").values():
        for statement in p["PolicyDocument"]["Statement"]:
            if statement.get("Principal") == {"Service": "events.amazonaws.com"}:
                for tests in statement.get("Condition", {}).values():
                    let_in.add((name_of(tests.get("aws:SourceArn")), name_of(statement.get("Resource"))))
    for id, p in stack.of("AWS::Events::Rule").items():
        for target in p.get("Targets", []):
            if (id, name_of(target.get("Arn"))) not in let_in:
                yield id, f"may not send to {name_of(target.get('Arn'))}"
        if p.get("State") != "ENABLED":
            yield id, "is not enabled"


@rule("mail-heard", "an address that bounced or complained is written to again if nobody hears of it")
def mail_heard(stack):
    heard = {}
    for p in stack.of("AWS::SES::ConfigurationSetEventDestination").values():
        destination = p.get("EventDestination", {})
        if destination.get("Enabled") is True and "EventBridgeDestination" in destination:
            heard.setdefault(name_of(p.get("ConfigurationSetName")), set()).update(destination.get("MatchingEventTypes", []))
    patterns = [text_of(r) for p in stack.of("AWS::Events::Rule").values() for r in p.get("EventPattern", {}).get("resources", [])]
    for id in stack.of("AWS::SES::ConfigurationSet"):
        missing = {"SEND", "DELIVERY", "BOUNCE", "COMPLAINT", "REJECT"} - heard.get(id, set())
        if missing:
            yield id, f"nobody hears of {', '.join(sorted(missing))}"
        if {"OPEN", "CLICK"} & heard.get(id, set()):
            yield id, "has SES rewrite mails to count openings and clicks"
        if not any(pattern.endswith(f":configuration-set/${{{id}}}") for pattern in patterns):
            yield id, "no rule takes its events"


# The API --------------------------------------------------------------------------------------------------------------


@rule("public-concurrency", "a flood of posts must not take the capacity that routing needs")
def public_concurrency(stack):
    functions = stack.of("AWS::Lambda::Function")
    for id in sorted(stack.public()):
        if (stack.number(functions[id].get("ReservedConcurrentExecutions")) or 0) < 1:
            yield id, "is public and has no reserved concurrency"


@rule("public-timeout", "API Gateway answers 503 after 30 s while the function goes on")
def public_timeout(stack):
    functions = stack.of("AWS::Lambda::Function")
    for id in sorted(stack.public()):
        if (stack.number(functions[id].get("Timeout")) or LONGEST_INTEGRATION) >= LONGEST_INTEGRATION:
            yield id, f"may run for {functions[id].get('Timeout')} s"


@rule("route-explicit", "what is reachable from outside can be read in one file")
def route_explicit(stack):
    keys = Counter()
    for id, p, integration, function in stack.routes():
        key = p.get("RouteKey")
        keys[key] += 1
        if key == "$default":
            # Whatever has no other route. Only this function looks its own routes up and answers the rest without reading anything.
            if function != ELSEWHERE:
                yield id, f"{function} does not know what to say of a path that it has no route for"
            continue
        # `{slash+}` at the end is the path with a slash at its end, which no route can be; functions take nothing more for it.
        if not isinstance(key, str) or not re.fullmatch(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[a-z][a-z0-9.-]*|/\{\w+\})+(/\{slash\+\})?", key):
            yield id, f"{key} is not one method and one path"
        if integration is None or function not in stack.source["Resources"]:
            yield id, "leads to no function"
    for key, count in keys.items():
        if count > 1:
            yield "Resources", f"{key} is routed {count} times"
    for id, p in stack.of("AWS::ApiGatewayV2::Api").items():
        if any(name in p for name in ("Body", "BodyS3Location", "Target", "RouteKey")):
            yield id, "has routes that are no resources of this template"
    for id, p in stack.of("AWS::ApiGatewayV2::Integration").items():
        if (p.get("IntegrationType"), p.get("PayloadFormatVersion")) != ("AWS_PROXY", "2.0"):
            yield id, "does not hand the function payload format 2.0"
    for kind in ("AWS::Lambda::Url", "AWS::ApiGateway::RestApi"):
        for id in stack.of(kind):
            yield id, "is a second door"


@rule("route-permitted", "a route whose function the API may not call answers 500 to everybody")
def route_permitted(stack):
    allowed = []
    for id, p in stack.of("AWS::Lambda::Permission").items():
        found = re.search(r":\$\{(\w+)\}/\*/(?:\*(/[^*]+?)(/?)\*|\$default)$", text_of(p.get("SourceArn")))
        if p.get("Principal") != "apigateway.amazonaws.com" or not found:
            yield id, "lets in more than one API's calls under one path"
        else:
            # Everything below a path, or the path itself as well; or whatever has no other route.
            allowed.append((name_of(p.get("FunctionName")), found[1], found[2], bool(found[3])))
    for id, p, _, function in stack.routes():
        path = str(p.get("RouteKey")).partition(" ")[2]
        if not any(
            (f, api) == (function, name_of(p.get("ApiId")))
            and (root is None if not path else root is not None and (path.startswith(root + "/") or (path == root and not below)))
            for f, api, root, below in allowed
        ):
            yield id, f"no permission lets the API call {function}"


@rule("stage-throttled", "the account's default of 10,000 requests a second is a bill, not a limit")
def stage_throttled(stack):
    for id, p in stack.of("AWS::ApiGatewayV2::Stage").items():
        settings = p.get("DefaultRouteSettings", {})
        if not settings.get("ThrottlingRateLimit") or not settings.get("ThrottlingBurstLimit"):
            yield id, "has no throttling"


@rule("stage-logs", "an access log with addresses or queries is a second store of personal data")
def stage_logs(stack):
    for id, p in stack.of("AWS::ApiGatewayV2::Stage").items():
        settings = p.get("AccessLogSettings", {})
        written = text_of(settings.get("Format"))
        if name_of(settings.get("DestinationArn")) not in stack.of("AWS::Logs::LogGroup"):
            yield id, "has no access log of its own"
        for word in PERSONAL:
            if word in written:
                yield id, f"logs {word}"


# What is kept ---------------------------------------------------------------------------------------------------------


@rule("table-safe", "the ledger survives load, mistakes and the stack: on demand, point-in-time recovery, KMS, retained")
def table_safe(stack):
    for id, p in stack.of("AWS::DynamoDB::Table").items():
        if p.get("BillingMode") != "PAY_PER_REQUEST":
            yield id, "is not on demand"
        if p.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is not True:
            yield id, "has no point-in-time recovery"
        if p.get("SSESpecification", {}).get("SSEEnabled") is not True:
            yield id, "is not encrypted with KMS"
        yield from kept(stack, id)


@rule("keys-kept", "without them no stored identity can be found again, and nobody can unsubscribe by a mail that is out")
def keys_kept(stack):
    secrets = stack.of("AWS::SecretsManager::Secret")
    for id in ("HashKeySecret", "LinkKeySecret"):
        if id not in secrets:
            yield id, "is missing"
            continue
        yield from kept(stack, id)
        if secrets[id].get("GenerateSecretString") != GENERATED:
            yield id, "is generated in another way than it was, which puts a new value in its place"
        if "Name" in secrets[id]:
            yield id, "has a name, so that stacks that have none yet put a new secret in its place"


@rule("secret-generated", "a secret that was once typed in is in somebody's history")
def secret_generated(stack):
    for id, p in stack.of("AWS::SecretsManager::Secret").items():
        if "SecretString" in p or stack.number(p.get("GenerateSecretString", {}).get("PasswordLength", 32)) < 40:
            yield id, "is not generated with 40 characters or more"
    for id, p in stack.expanded.get("Parameters", {}).items():
        if p.get("NoEcho") and "Default" in p:
            yield id, "is secret and has a default"


@rule("secret-reference", "whoever may describe a function reads its variables: they name a secret, never hold it")
def secret_reference(stack):
    hidden = {id for id, p in stack.expanded.get("Parameters", {}).items() if p.get("NoEcho")}
    for id, p in stack.of("AWS::Lambda::Function").items():
        for variable, value in p.get("Environment", {}).get("Variables", {}).items():
            written = json.dumps(value)
            if "{{resolve:" in written or any(re.search(rf'"{name}"|\$\{{{name}\}}', written) for name in hidden):
                yield id, f"{variable} holds a secret"


# Functions ------------------------------------------------------------------------------------------------------------


@rule("function-folder", "folder = crate = binary = CodeUri: who knows one name knows all four")
def function_folder(stack):
    found = Counter()
    for id, r in stack.source["Resources"].items():
        if r["Type"] != "AWS::Serverless::Function":
            continue
        folder = re.sub(r"(?<!^)(?=[A-Z])", "-", id).lower()
        found[folder] += 1
        if r["Properties"].get("CodeUri") != f"../target/lambda/{folder}/bootstrap.zip":
            yield id, f"its CodeUri is not ../target/lambda/{folder}/bootstrap.zip"
    for id, p in stack.of("AWS::Lambda::Function").items():
        if (p.get("Runtime"), p.get("Handler")) != ("provided.al2023", "bootstrap"):
            yield id, "is not a bootstrap on provided.al2023"
    folders = {f.parent.name for f in FUNCTIONS.glob("*/Cargo.toml")}
    for folder in sorted(folders ^ set(found)):
        yield folder, "stands in only one of functions/ and the template"


@rule("function-logs", "Lambda's own log group keeps everything for ever")
def function_logs(stack):
    groups = stack.of("AWS::Logs::LogGroup")
    for id, p in stack.of("AWS::Lambda::Function").items():
        group = name_of(p.get("LoggingConfig", {}).get("LogGroup"))
        if group != f"{id}Logs" or group not in groups:
            yield id, f"does not write to {id}Logs"
    for id, p in groups.items():
        if (stack.number(p.get("RetentionInDays")) or 999) > 30:
            yield id, "keeps its lines for longer than 30 days"


def kept(stack, id):
    """Complaints about a resource that goes with its stack."""
    if stack.resources[id].get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
        yield id, "its DeletionPolicy is not Retain"
    if stack.resources[id].get("UpdateReplacePolicy") != "Retain":
        yield id, "its UpdateReplacePolicy is not Retain"


def lint(stack):
    """What cfn-lint says about the expanded template, as lines."""
    from cfnlint.api import ManualArgs, lint as run

    region = os.environ["AWS_DEFAULT_REGION"]
    written = json.dumps(stack.expanded, indent=1)
    for found in run(written, config=ManualArgs(regions=[region])):
        line = written.splitlines()[found.linenumber - 1].strip()
        yield f"{TEMPLATE.name} expanded: [cfn-lint {found.rule.id}] {found.message}\n    at {line}"


def check(source):
    """Every complaint about the template, as lines."""
    stack = Stack(source)
    for id, run in RULES.items():
        for resource, problem in run(stack):
            yield f"{TEMPLATE.name}: [{id}] {resource}: {problem} ({REASONS[id]})"
    yield from lint(stack)


# Known-bad variants ---------------------------------------------------------------------------------------------------

GONE = object()
POLICY = "{}Role.Properties.Policies.0.PolicyDocument.Statement.{}"
SOURCE = "{}.Properties.Events.Queue.Properties.{}"
VARIABLE = "{}.Properties.Environment.Variables.{}"
QUEUE_POLICY = "FeedbackQueuePolicy.Properties.PolicyDocument.Statement.{}"

# The rule that must object, and the edits that break it: a path below Resources (or from the top, with a leading /) and
# its new value.
VARIANTS = [
    ("role-own", {"EnrichLead.Properties.Role": {"Fn::GetAtt": ["RouteLeadRole", "Arn"]}}),
    ("role-own", {"EnrichLead.Properties.Role": GONE, "EnrichLeadRole": GONE}),
    ("role-own", {"EnrichLeadRole.Properties.ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonSQSFullAccess"]}),
    ("role-own", {"More": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "more"}}}),
    ("role-actions", {POLICY.format("RouteLead", 1) + ".Action": ["dynamodb:*"]}),
    ("role-actions", {POLICY.format("RouteLead", 1) + ".Action": "*"}),
    ("role-actions", {POLICY.format("RouteLead", 1) + ".NotAction": "iam:PassRole"}),
    ("role-resources", {POLICY.format("SendMessage", 5) + ".Resource": "*"}),
    ("role-resources", {POLICY.format("SendMessage", 1) + ".Resource": {"Fn::Sub": "arn:${AWS::Partition}:sqs:*:*:*"}}),
    ("role-resources", {POLICY.format("SendMessage", 1) + ".NotResource": {"Ref": "HashKeySecret"}}),
    ("role-fits", {VARIABLE.format("CaptureLead", "SLUICE_NOTICE_QUEUE_URL"): {"Ref": "NoticeQueue"}}),
    ("role-fits", {VARIABLE.format("CaptureLead", "SLUICE_ENRICH_QUEUE_URL"): GONE}),
    ("role-fits", {VARIABLE.format("ServeConsole", "SLUICE_HASH_KEY_SECRET"): GONE}),
    ("role-fits", {VARIABLE.format("SendMessage", "SLUICE_SECRET_PREFIX"): GONE}),
    ("role-fits", {POLICY.format("RouteLead", 2) + ".Action": ["sqs:ReceiveMessage", "sqs:GetQueueAttributes"]}),
    ("role-fits", {VARIABLE.format("EraseCustomer", "SLUICE_EVENT_DEAD_LETTERS_URL"): GONE}),
    ("role-fits", {VARIABLE.format("RouteLead", "SLUICE_LEAD_DEAD_LETTERS_URL"): {"Ref": "LeadDeadLetters"}}),
    ("queue-visibility", {"LeadQueue.Properties.VisibilityTimeout": 179}),
    ("queue-visibility", {"SendMessage.Properties.Timeout": 21}),
    ("queue-visibility", {"EnrichQueue.Properties.VisibilityTimeout": GONE}),
    ("queue-visibility", {SOURCE.format("RouteLead", "MaximumBatchingWindowInSeconds"): 1}),
    ("queue-dead-letters", {"NoticeQueue.Properties.RedrivePolicy": GONE}),
    ("queue-dead-letters", {"NoticeQueue.Properties.RedrivePolicy.maxReceiveCount": 4}),
    ("queue-dead-letters", {"NoticeDeadLetters.Properties.MessageRetentionPeriod": 345600}),
    ("queue-dead-letters", {"NoticeQueue.Properties.MessageRetentionPeriod": 1209600}),
    (
        "queue-dead-letters",
        {"NoticeQueue.Properties.RedrivePolicy.deadLetterTargetArn": {"Fn::GetAtt": ["LeadDeadLetters", "Arn"]}},
    ),
    ("queue-encrypted", {"LeadDeadLetters.Properties.SqsManagedSseEnabled": False}),
    ("queue-alarms", {"EnrichDeadLettersAlarm": GONE}),
    ("queue-alarms", {"EnrichDeadLettersAlarm.Properties.Threshold": 100}),
    ("queue-alarms", {"LeadQueueAgeAlarm.Properties.Dimensions.0.Value": {"Fn::GetAtt": ["EnrichQueue", "QueueName"]}}),
    ("queue-alarms", {"EscalatedLeadsAlarm.Properties.AlarmActions": GONE}),
    ("call-alarms", {"DoorAlarm": GONE}),
    ("call-alarms", {"DoorAlarm.Properties.Threshold": 10}),
    ("call-alarms", {"DoorAlarm.Properties.MetricName": "4xx"}),
    ("call-alarms", {"TimersFailAlarm.Properties.Dimensions.0.Value": {"Ref": "RouteLead"}}),
    ("own-metrics", {"EscalatedLeadsAlarm.Properties.Dimensions": GONE}),
    ("source-partial-failures", {SOURCE.format("RouteLead", "FunctionResponseTypes"): GONE}),
    ("source-concurrency", {SOURCE.format("EnrichLead", "ScalingConfig"): GONE}),
    ("loop-allowed", {"AdvanceJourney.Properties.RecursiveLoop": GONE}),
    ("loop-allowed", {"RunCampaign.Properties.RecursiveLoop": "Terminate"}),
    ("loop-allowed", {"EnrichLead.Properties.RecursiveLoop": GONE}),
    ("loop-allowed", {"RecordFeedback.Properties.RecursiveLoop": "Allow"}),
    ("loop-allowed", {VARIABLE.format("RecordFeedback", "SLUICE_FEEDBACK_QUEUE_URL"): {"Ref": "FeedbackQueue"}}),
    ("queue-policy", {QUEUE_POLICY.format("0.Principal"): "*"}),
    ("queue-policy", {QUEUE_POLICY.format("0.Action"): ["sqs:*"]}),
    ("queue-policy", {QUEUE_POLICY.format("0.Condition"): GONE}),
    ("queue-policy", {QUEUE_POLICY.format("1.Condition"): {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}}),
    ("queue-policy", {QUEUE_POLICY.format("1.Resource"): {"Fn::GetAtt": ["LeadQueue", "Arn"]}}),
    ("rule-delivered", {"FeedbackQueuePolicy": GONE}),
    ("rule-delivered", {"FeedbackRule.Properties.Targets.0.Arn": {"Fn::GetAtt": ["LeadQueue", "Arn"]}}),
    ("rule-delivered", {"FeedbackRule.Properties.State": "DISABLED"}),
    ("mail-heard", {"MailEvents": GONE}),
    ("mail-heard", {"MailEvents.Properties.EventDestination.Enabled": False}),
    ("mail-heard", {"MailEvents.Properties.EventDestination.MatchingEventTypes": ["SEND", "DELIVERY", "REJECT", "COMPLAINT"]}),
    (
        "mail-heard",
        {"MailEvents.Properties.EventDestination.MatchingEventTypes": ["SEND", "DELIVERY", "BOUNCE", "COMPLAINT", "REJECT", "OPEN"]},
    ),
    ("mail-heard", {"FeedbackRule.Properties.EventPattern.resources": GONE}),
    ("public-concurrency", {"ServeConsole.Properties.ReservedConcurrentExecutions": GONE}),
    ("public-concurrency", {"CaptureLead.Properties.ReservedConcurrentExecutions": 0}),
    ("public-timeout", {"ServeConsole.Properties.Timeout": 30}),
    ("route-explicit", {"PostFormRoute.Properties.RouteKey": "$default"}),
    ("route-explicit", {"ElsewhereRoute.Properties.Target": {"Fn::Sub": "integrations/${CaptureLeadIntegration}"}}),
    ("route-explicit", {"PostFormRoute.Properties.RouteKey": "ANY /f/{form}"}),
    ("route-explicit", {"GetLeadRoute.Properties.RouteKey": "GET /api/{proxy+}"}),
    ("route-explicit", {"PostBatchSlashRoute.Properties.RouteKey": "POST /{slash+}/batch"}),
    ("route-explicit", {"GetLeadRoute.Properties.RouteKey": "GET /api/leads"}),
    ("route-explicit", {"GetLeadRoute.Properties.Target": "integrations/abc"}),
    (
        "route-explicit",
        {"ServeConsole.Properties.Events": {"All": {"Type": "HttpApi", "Properties": {"Path": "/x", "Method": "get"}}}},
    ),
    ("route-explicit", {"ServeConsole.Properties.FunctionUrlConfig": {"AuthType": "NONE"}}),
    ("route-explicit", {"CaptureLeadIntegration.Properties.PayloadFormatVersion": "1.0"}),
    ("route-permitted", {"CaptureLeadHooksPermission": GONE}),
    ("route-permitted", {"TrackEventBatchesPermission.Properties.SourceArn": {"Fn::Sub": "arn:aws:execute-api:x:1:${Api}/*/*/batch/*"}}),
    ("route-permitted", {"CaptureLeadHooksPermission.Properties.FunctionName": {"Ref": "RouteLead"}}),
    ("route-permitted", {"ServeConsolePermission.Properties.SourceArn": GONE}),
    ("route-permitted", {"ServeConsoleElsewherePermission": GONE}),
    ("route-permitted", {"ServeConsoleElsewherePermission.Properties.SourceArn": {"Fn::Sub": "arn:aws:execute-api:x:1:${Api}/*/*"}}),
    ("stage-throttled", {"ApiStage.Properties.DefaultRouteSettings": GONE}),
    ("stage-logs", {"ApiStage.Properties.AccessLogSettings.Format": "$context.identity.sourceIp"}),
    ("stage-logs", {"ApiStage.Properties.AccessLogSettings.Format": "$context.path"}),
    ("stage-logs", {"ApiStage.Properties.AccessLogSettings": GONE}),
    ("table-safe", {"Table.Properties.BillingMode": "PROVISIONED"}),
    ("table-safe", {"Table.Properties.PointInTimeRecoverySpecification": GONE}),
    ("table-safe", {"Table.Properties.SSESpecification.SSEEnabled": False}),
    ("table-safe", {"Table.DeletionPolicy": GONE}),
    ("keys-kept", {"HashKeySecret.UpdateReplacePolicy": "Delete"}),
    ("keys-kept", {"HashKeySecret": GONE}),
    ("keys-kept", {"LinkKeySecret.DeletionPolicy": "Delete"}),
    ("keys-kept", {"HashKeySecret.Properties.GenerateSecretString.PasswordLength": 65}),
    ("keys-kept", {"LinkKeySecret.Properties.GenerateSecretString.ExcludeUppercase": GONE}),
    ("keys-kept", {"LinkKeySecret.Properties.GenerateSecretString.IncludeSpace": False}),
    ("keys-kept", {"HashKeySecret.Properties.Name": "sluice/hash-key"}),
    ("secret-generated", {"AdminTokenSecret.Properties": {"SecretString": "change-me"}}),
    ("secret-generated", {"AdminTokenSecret.Properties.GenerateSecretString.PasswordLength": 8}),
    ("secret-generated", {"/Parameters.Password": {"Type": "String", "NoEcho": True, "Default": "change-me"}}),
    (
        "secret-reference",
        {VARIABLE.format("ServeConsole", "TOKEN"): {"Fn::Sub": "{{resolve:secretsmanager:${AdminTokenSecret}}}"}},
    ),
    (
        "secret-reference",
        {
            "/Parameters.Password": {"Type": "String", "NoEcho": True},
            VARIABLE.format("SendMessage", "PASSWORD"): {"Ref": "Password"},
        },
    ),
    ("function-folder", {"RouteLead.Properties.CodeUri": "../target/lambda/enrich-lead/bootstrap.zip"}),
    ("function-folder", {"/Globals.Function.Runtime": "provided.al2"}),
    ("function-folder", {"FireTimers": GONE}),
    ("function-logs", {"FireTimers.Properties.LoggingConfig": GONE}),
    ("function-logs", {"FireTimers.Properties.LoggingConfig.LogGroup": {"Ref": "ApiLogs"}}),
    ("function-logs", {"FireTimersLogs.Properties.RetentionInDays": GONE}),
    ("cfn-lint", {"ApiLogs.Properties.RetentionInDays": 29}),
]


def edited(source, edits):
    """A copy of the template with some values set or removed."""
    source = copy.deepcopy(source)
    for path, value in edits.items():
        steps = path.removeprefix("/").split(".")
        at = source if path.startswith("/") else source["Resources"]
        for step in steps[:-1]:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if value is GONE:
            del at[steps[-1]]
        else:
            at[steps[-1]] = value
    return source


def self_test(source):
    """What the rules miss: every known-bad variant must be noticed by the rule that it breaks."""
    for id in RULES.keys() - {id for id, _ in VARIANTS}:
        yield f"{id}: no known-bad variant"
    for id, edits in VARIANTS:
        stack = Stack(edited(source, edits))
        found = list(lint(stack)) if id == "cfn-lint" else [f"{on}: {problem}" for on, problem in RULES[id](stack)]
        print(f"{'caught' if found else 'MISSED'}  {id}: {'; '.join(found[:2])}")
        if not found:
            yield f"{id}: not noticed: {', '.join(edits)}"


def main():
    arguments = argparse.ArgumentParser(description="Holds infra/template.yaml to the rules of this project.")
    arguments.add_argument("--self-test", action="store_true", help="break each rule in memory; each must notice")
    arguments.add_argument("--rules", action="store_true", help="list the rules")
    chosen = arguments.parse_args()
    if chosen.rules:
        print("\n".join(f"{id}: {REASONS[id]}" for id in RULES))
        return 0
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    wrong = list(self_test(template) if chosen.self_test else check(template))
    for line in wrong:
        print(line, file=sys.stderr)
    what = f"{len(VARIANTS)} known-bad variants" if chosen.self_test else f"{len(RULES)} rules and cfn-lint"
    print(f"{TEMPLATE.name}: {what}, {len(wrong)} {'problem' if len(wrong) == 1 else 'problems'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
