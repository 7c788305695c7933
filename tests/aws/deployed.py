"""The stack as a person deploys it: zips, `sam deploy`, `sluice apply`; and what can be asked of it afterwards."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

from emulator import OWNER, ROOT

sys.path.insert(0, str(ROOT / "infra"))
from check import Stack, name_of, text_of, yaml_parse  # noqa: E402,F401

STACK = "sluice"
MAIL_FROM = "sales@example.com"
FORM = "application/x-www-form-urlencoded"
# The policy that a role gets on top of the template's.
ON_TOP = "for-the-emulator"
PROFILE = "emulated"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAM = Path(sys.executable).with_name("sam")

Answer = namedtuple("Answer", "status body")


class NotLedOn(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to whoever asked."""

    def redirect_request(self, *_):
        return None


WITHOUT_REDIRECTS = urllib.request.build_opener(NotLedOn)


def functions():
    """Every function: folder, crate and binary have one name."""
    return sorted(manifest.parent.name for manifest in (ROOT / "functions").glob("*/Cargo.toml"))


def build():
    """Release code without the long link, for this machine. One build for all: Cargo then gives each function the features
    of all of them, which the zips that are shipped do not have (`sluice package` builds together what has the same)."""
    packages = [word for function in functions() for word in ("--package", function)]
    subprocess.run(["cargo", "build", "--locked", "--profile", PROFILE, "--bins", *packages], cwd=ROOT, check=True)
    return {function: target() / PROFILE / function for function in functions()}


def build_sluice():
    """The operator's command, as `cargo run` has it."""
    subprocess.run(["cargo", "build", "--locked", "--package", "sluice"], cwd=ROOT, check=True)
    return target() / "debug/sluice"


def target():
    """Where Cargo builds."""
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


def lay_out(tree, binaries, zips):
    """The template and, where its CodeUri look for them, zips: of these binaries, or those of a folder."""
    for function in functions():
        archive = tree / "target/lambda" / function / "bootstrap.zip"
        archive.parent.mkdir(parents=True)
        if zips:
            shutil.copy(zips / function / "bootstrap.zip", archive)
            continue
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            entry = zipfile.ZipInfo("bootstrap")  # dated 1980: the same binary makes the same zip
            entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
            zipped.writestr(entry, binaries[function].read_bytes())
    template = tree / "infra/template.yaml"
    template.parent.mkdir()
    return Path(shutil.copy(ROOT / "infra/template.yaml", template))


def rewrite(template):
    """The one thing that the template cannot say to ministack: there, the Ref of a secret is its name, not its ARN, and a
    role that allows a name allows nothing. The attribute Id is the ARN there as on AWS."""
    text = template.read_text(encoding="utf-8")
    resources = yaml_parse(text)["Resources"]
    secrets = "|".join(id for id, r in resources.items() if r["Type"] == "AWS::SecretsManager::Secret")
    text, count = re.subn(rf"!Ref ({secrets})\b", r"!GetAtt \1.Id", text)
    assert count, "no Ref of a secret in the template: this rewriting can go"
    template.write_text(text, encoding="utf-8")
    return count


def emulators_terms(statement):
    """What a right of the template is called by the emulator, where that differs: see "ses-identity" and "sqs-batch"."""
    if "ses:SendEmail" in statement["Action"]:
        yield {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"}
    if "sqs:SendMessage" in statement["Action"]:
        yield {"Effect": "Allow", "Action": "sqs:SendMessageBatch", "Resource": statement["Resource"]}


class Deployed:
    """A stack that was deployed to the emulator."""

    def __init__(self, emulator, template, command):
        self.emulator, self.command = emulator, command
        self.expanded = Stack(yaml_parse(template.read_text(encoding="utf-8")))
        self.deploy(template)
        described = emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
        listed = emulator.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        self.resources = {r["LogicalResourceId"]: r for page in listed for r in page["StackResourceSummaries"]}
        # The host name of an API resolves nowhere outside a browser: the emulator takes it as a path, too.
        host = re.fullmatch(r"http://([0-9a-f]+)\.execute-api\..*", self.outputs["Url"])
        assert host, f"an address of another form: {self.outputs['Url']}"
        self.api = host[1]
        self.url = f"{emulator.url}/_aws/execute-api/{self.api}/$default"
        for role in self.expanded.of("AWS::IAM::Role"):
            if on_top := [s for statement in self.statements(role) for s in emulators_terms(statement)]:
                self.put_policy(role, ON_TOP, on_top)
        secret = self.outputs["AdminTokenSecretArn"]
        self.token = self.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]

    def policies(self, role):
        """The names of the policies that the template gives a role."""
        return [policy["PolicyName"] for policy in self.expanded.of("AWS::IAM::Role")[role]["Policies"]]

    def statements(self, role):
        """What the template allows a role, with the names that the resources got."""
        for policy in self.policies(role):
            put = self.client("iam").get_role_policy(RoleName=self.physical(role), PolicyName=policy)
            yield from put["PolicyDocument"]["Statement"]

    def put_policy(self, role, policy, statements):
        """Gives a role a policy."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client("iam").put_role_policy(RoleName=self.physical(role), PolicyName=policy, PolicyDocument=document)

    def take_policy(self, role, policy):
        """Takes a policy from a role."""
        self.client("iam").delete_role_policy(RoleName=self.physical(role), PolicyName=policy)

    def deploy(self, template):
        """The README's command."""
        command = [SAM, "deploy", "--template-file", template, "--stack-name", STACK, "--resolve-s3"]
        command += ["--capabilities", "CAPABILITY_IAM", "--no-progressbar", "--parameter-overrides"]
        command += [f"MailFrom={MAIL_FROM}", "Architecture=x86_64"]
        environment = {**os.environ, **OWNER, "AWS_ENDPOINT_URL": self.emulator.url, "SAM_CLI_TELEMETRY": "0"}
        done = subprocess.run(command, env=environment, cwd=template.parent, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise AssertionError(f"sam deploy: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")

    def client(self, service):
        """An AWS client of the account's owner."""
        return self.emulator.client(service)

    def physical(self, id):
        """The name that a resource got."""
        return self.resources[id]["PhysicalResourceId"]

    def queue(self, id):
        """The URL of a queue."""
        return self.client("sqs").get_queue_url(QueueName=self.physical(id).rsplit("/", 1)[-1])["QueueUrl"]

    @contextmanager
    def held(self, queue):
        """Meanwhile nothing reads the queue: what comes is one batch."""
        source = self.physical(next(id for id, _, read, _ in self.expanded.sources() if read == queue))
        self.client("lambda").update_event_source_mapping(UUID=source, Enabled=False)
        yield
        self.client("lambda").update_event_source_mapping(UUID=source, Enabled=True)

    def call(self, method, path, body=None, token=None, content_type="application/json"):
        """One HTTP request to the API, as curl makes it."""
        headers = {"content-type": content_type} if body is not None else {}
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return Answer(answer.status, json.loads(answer.read() or b"null"))
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.read().decode())

    def visit(self, method, path, body=None, content_type=FORM):
        """One request of a recipient's browser, which is not led on: the answer with its headers and its bytes."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("user-agent", BROWSER)
        if body is not None:
            request.add_header("content-type", content_type)
        try:
            return WITHOUT_REDIRECTS.open(request, timeout=40)
        except urllib.error.HTTPError as other:
            return other

    def post_form(self, **fields):
        """What a web form sends; the lead's id."""
        answer = self.call("POST", "/f/contact", urllib.parse.urlencode(fields).encode(), content_type=FORM)
        assert answer.status == 202, f"POST /f/contact: {answer}"
        return answer.body["lead_id"]

    def sluice(self, *words):
        """The operator's command against this stack; its output."""
        environment = {**os.environ, "SLUICE_TOKEN": self.token}
        words = [*words, "--url", self.url]
        done = subprocess.run([self.command, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert not done.returncode, f"sluice {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def log_lines(self, group, most=None):
        """The newest lines of a log group, by its logical id."""
        name = self.expanded.resources[group]["Properties"]["LogGroupName"]
        name = name["Fn::Sub"].replace("${AWS::StackName}", STACK)
        events = self.client("logs").filter_log_events(logGroupName=name)["events"]
        return [event["message"].rstrip() for event in events][-(most or 0):]

    def logs(self):
        """What every function wrote, for whoever looks at a failure."""
        written = []
        for id in self.expanded.of("AWS::Lambda::Function"):
            written += [f"-- {id}", *self.log_lines(f"{id}Logs", 40)]
        return "\n".join(written)
