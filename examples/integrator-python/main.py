"""Goes through what a program does that works with Clientele: it signs in, creates customers, lists them page by page,
changes one, reads what the server refuses, sends a file and fetches one, and deletes what it made. It is written to be
copied from."""

import json
import os
import sys
import time
import uuid

import urllib3
from address import address
from clientele_client import (
    ApiException, CustomerCreate, CustomerCreateIdentity, CustomersApi, JobCreate, JobsApi, MeApi, OperationsApi)
from session import Session, SignInRefused, Tokens, configuration

TAG = str(uuid.uuid4())  # that all customers of this trip have, to find them again


def create(session, ids):
    """Makes five customers, and notes the id of each at once, so that they are deleted whatever goes wrong."""
    print("signed in as", MeApi(session).me_get().name)
    customers = CustomersApi(session)
    for number in range(1, 6):
        customer = customers.customer_create(CustomerCreate(
            name=f"Antonio Moreno Taquería {number}",
            phone="(5) 555-3932",
            company="Moreno S.A.",
            external_id=f"{TAG}-{number}",
            properties={"trip": TAG, "country": "Mexico"},
            # With a login that has a password a customer is active, and may submit jobs.
            identity=CustomerCreateIdentity(email=f"{TAG}@example.com", password=str(uuid.uuid4())) if number == 1 else None,
        ))
        ids.append(customer.id)
    print(f"created {len(ids)} customers")


def list_all(session):
    """Goes through all pages. The place of the next one stands in each page; the last one has none."""
    pages, found, where = 0, 0, {}
    while True:
        page = CustomersApi(session).customer_list(properties={"trip": TAG}, sort="created_at", limit=2, **where)
        pages += 1
        found += len(page.data)
        if page.next_cursor is None:
            break
        where = {"cursor": page.next_cursor}
    print(f"listed {found} customers on {pages} pages")


def change(session, customer_id):
    """Sends a merge patch. A member that is not mentioned stays, None clears, a value is set. A dictionary keeps the three
    apart. The generated class CustomerPatch does not: it leaves out what is None."""
    customers = CustomersApi(session)
    _, _, headers = customers.customer_get_with_http_info(customer_id)
    now = customers.customer_update(
        customer_id,
        {
            "phone": None,  # cleared
            "address": "Mataderos 2312",  # set
            "properties": {"country": None, "tier": "gold"},  # merged key by key, in the same way
            # company is not mentioned: it stays.
        },
        if_match=headers["ETag"],  # the change is made only if nobody else has made one since
    )
    properties = json.dumps(now.properties, separators=(",", ":"))
    print(f"changed: phone {now.phone or 'null'}, address {now.address}, company {now.company}, properties {properties}")


def refusals(session, customer_id):
    """Makes mistakes on purpose. Programs go by code, which is stable; detail and message are for people."""
    customers = CustomersApi(session)
    show(refused(409, customers.customer_create, CustomerCreate(name="Another Antonio", external_id=f"{TAG}-1")))
    # A dictionary once more: the class would refuse an empty name before the server sees it.
    show(refused(422, customers.customer_create, {"name": "", "email": "nobody"}))
    show(refused(412, customers.customer_update, customer_id, {"name": "Antonio"}, if_match='"1.0"'))


def refused(status, call, *args, **kwargs):
    """Makes a call that is expected to be refused, and gives the problem."""
    try:
        call(*args, **kwargs)
    except ApiException as refusal:
        if refusal.status == status:
            return json.loads(refusal.body)
        raise
    raise RuntimeError(f"this should have been refused with {status}")


def show(problem):
    print("refused:", words(problem))


def words(problem):
    """Gives the words of a problem, with each fault and the place where it is."""
    lines = [f"{problem['status']} {problem['code']}: {problem['detail']}"]
    for fault in problem.get("errors", []):
        place = fault.get("pointer") or fault.get("parameter") or fault.get("header") or "the request"
        lines.append(f"  {place} {fault['code']}: {fault['message']}")
    return "\n".join(lines)


def rows(session):
    """Sends customers as a file, follows the work that it sets off, and fetches customers as a file. The import is a dry run:
    it says what would become of the rows and writes none."""
    text = ("external_id,name,email\n"
            f"{TAG}-6,Königlich Essen,koeniglich@example.com\n"
            f"{TAG}-7,Nobody,not an address\n")
    begun = CustomersApi(session.with_header("Content-Type", "text/csv")).customer_import(text.encode(), dry_run=True)
    done = follow(session, begun.id)
    print(f"imported, as a trial: {done.state}, {done.progress.refused} of {done.progress.read} rows refused")

    # What the contract calls binary comes as a file, by its path.
    customers = CustomersApi(session.with_header("Accept", "text/csv"))
    path = customers.customer_export(properties={"trip": TAG})
    with open(path, encoding="utf-8") as file:
        lines = sum(1 for _ in file)
    os.remove(path)
    print(f"downloaded {lines} lines of CSV")


def job_file(session, customer_id):
    """Submits a job, gives it its file, and fetches the file. The body of the request is the file itself; what it is called
    goes along in Content-Disposition."""
    job = JobsApi(session).job_create(customer_id, JobCreate(name="Menus for December"))
    content = b"%PDF-1.7\n%%EOF\n"
    uploaded = JobsApi(session.with_header("Content-Type", "application/pdf")).job_file_put(
        job.id, "input", content, content_disposition="attachment; filename=menus.pdf")
    # Where an answer may be of several types, ask for it as it came.
    fetched = JobsApi(session).job_file_get(job.id, "input", _preload_content=False).data
    if fetched != content:
        raise RuntimeError("the file came back as another one")
    print(f"uploaded {uploaded.filename} and fetched its {len(fetched)} bytes again")


def follow(session, operation_id):
    """Waits for an operation to end."""
    while True:
        operation = OperationsApi(session).operation_get(operation_id)
        if operation.finished_at is not None:
            return operation
        time.sleep(0.2)


def delete(session, ids):
    """Deletes what was created. It takes two calls: the first one is answered with what would go, and with a token."""
    if not ids:
        return
    customers = CustomersApi(session)
    for customer_id in ids:
        planned = refused(428, customers.customer_delete, customer_id)
        customers.customer_delete(customer_id, confirm=planned["confirmation_token"])
    print(f"deleted {len(ids)} customers")


def trip(session):
    """Does everything, and deletes what it made, whatever went wrong."""
    ids = []
    try:
        create(session, ids)
        list_all(session)
        change(session, ids[0])
        refusals(session, ids[0])
        rows(session)
        job_file(session, ids[0])
    finally:
        delete(session, ids)


def main():
    client_id, secret = os.environ.get("CLIENTELE_CLIENT_ID"), os.environ.get("CLIENTELE_CLIENT_SECRET")
    if not client_id or not secret:
        sys.exit("integrator-python: set CLIENTELE_CLIENT_ID and CLIENTELE_CLIENT_SECRET")
    settings = configuration(address())
    try:
        trip(Session(settings, Tokens(settings, client_id, secret)))
    except SignInRefused as refusal:
        sys.exit(f"integrator-python: {refusal}")
    except ApiException as refusal:
        sys.exit(f"integrator-python: {said(refusal)}")
    except urllib3.exceptions.HTTPError as failure:
        sys.exit(f"integrator-python: there was no answer: {failure}")


def said(refusal):
    """Gives the words of a refusal that nobody expected."""
    try:
        return words(json.loads(refusal.body))
    except (KeyError, TypeError, ValueError):  # something on the way answered
        return f"{refusal.status} {refusal.reason}"


if __name__ == "__main__":
    main()
