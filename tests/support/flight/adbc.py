"""What a data team does with ADBC, against the reef at an address: prints what it saw as one JSON document.

    adbc.py ADDRESS TOKEN
"""

import json
import sys
import threading

import adbc_driver_flightsql.dbapi as flight
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import DatabaseOptions as UserOptions

ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b"

address, token = sys.argv[1:3]
uri = f"grpc://{address}"
bearer = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
seen = {}


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def refusal(work):
    try:
        work()
    except flight.Error as error:
        return str(error)
    return "nothing was refused"


def connected(options):
    with flight.connect(uri, db_kwargs=options, autocommit=True) as connection:
        return rows(connection, "SELECT 1 AS one").to_pylist()


def ended_by_another(connection):
    """A statement that works for days, and a thread that cancels it."""
    said = []
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS)
        waiting = threading.Thread(target=lambda: said.append(refusal(cursor.fetchall)))
        waiting.start()
        while waiting.is_alive():
            cursor.adbc_cancel()
            waiting.join(0.1)
    return said[0]


basic = {UserOptions.USERNAME.value: "data team", UserOptions.PASSWORD.value: token}
seen["by_password"] = connected(basic)
seen["without_token"] = refusal(lambda: connected({}))
seen["wrong_token"] = refusal(lambda: connected({**bearer, DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer x"}))
seen["wrong_password"] = refusal(lambda: connected({**basic, UserOptions.PASSWORD.value: "x"}))

with flight.connect(uri, db_kwargs=bearer, autocommit=True) as connection:
    events = rows(connection, "SELECT * FROM federated_events ORDER BY event_id")
    seen["events"] = events.column("event_id").to_pylist()
    seen["times"] = [time.isoformat() for time in events.column("timestamp").to_pylist()]
    seen["types"] = {field.name: str(field.type) for field in events.schema}
    seen["grouped"] = rows(
        connection,
        """SELECT service_id, count(*) AS n, max(p95) AS worst, concat(service_id, '!') AS text, NULL AS none,
             array_agg(DISTINCT metric_name) AS metrics
           FROM federated_metrics WHERE colony_id = 'my-shop-staging' GROUP BY service_id""",
    ).to_pylist()
    parameters = "SELECT event_id FROM federated_events WHERE service_id = ? AND version >= ? ORDER BY event_id LIMIT ?"
    seen["with_values"] = [
        rows(connection, parameters, values).column(0).to_pylist() for values in (["api", 0, 2], ["web", 0, 2])
    ]
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT event_id, version FROM federated_events")
        seen["planned"] = {field.name: str(field.type) for field in schema}

    info = connection.adbc_get_info()
    seen["server"] = [info["vendor_name"], info["vendor_version"]]
    seen["table_types"] = connection.adbc_get_table_types()
    table = connection.adbc_get_table_schema("federated_events")
    seen["as_listed"] = {field.name: str(field.type) for field in table} == seen["types"]
    objects = connection.adbc_get_objects(depth="all", table_name_filter="federated%").read_all().to_pylist()
    seen["objects"] = {
        f"{catalog['catalog_name']}.{schema['db_schema_name']}.{table['table_name']}": len(table["table_columns"])
        for catalog in objects
        for schema in catalog["catalog_db_schemas"] or []
        for table in schema["db_schema_tables"] or []
    }

    seen["wrong_sql"] = refusal(lambda: rows(connection, "SELECT * FORM federated_events"))
    seen["changed"] = refusal(lambda: rows(connection, "DELETE FROM federated_events"))
    seen["too_many_rows"] = refusal(lambda: rows(connection, "SELECT value FROM generate_series(1, 200000)"))
    with connection.cursor() as cursor:
        seen["ingested"] = refusal(lambda: cursor.adbc_ingest("federated_events", events, mode="append"))
    seen["cancelled"] = ended_by_another(connection)
    seen["after_all"] = rows(connection, "SELECT count(*) AS n FROM federated_events").to_pylist()

print(json.dumps(seen))
