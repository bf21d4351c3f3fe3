import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** What a tool does with JDBC, against the reef at an address: prints what it saw, one `name: value` to a line. */
public class Jdbc {
    /** Gives rows at once, and then works for days. */
    static final String ENDLESS = "SELECT value FROM generate_series(1, 3000) UNION ALL "
        + "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b";
    /** More than the reef runs at once: each has to end for the next one. */
    static final int CANCELLED = 6;

    interface Work {
        Object done() throws SQLException;
    }

    public static void main(String[] args) throws SQLException {
        String address = args[0], token = args[1];
        String url = "jdbc:arrow-flight-sql://" + address + "?useEncryption=false";
        Properties byPassword = new Properties();
        byPassword.setProperty("user", "data team");
        byPassword.setProperty("password", token);
        try (Connection connection = DriverManager.getConnection(url, byPassword)) {
            say("by_password", rows(connection, "SELECT 1 AS one"));
        }
        say("without_token", refusal(() -> connected(url)));
        say("wrong_token", refusal(() -> connected(url + "&token=x")));
        try (Connection connection = DriverManager.getConnection(url + "&token=" + token)) {
            statements(connection);
            lists(connection.getMetaData());
            refusals(connection);
            say("cancelled", cancelled(connection));
            say("after_all", rows(connection, "SELECT count(*) AS n FROM federated_events"));
        }
    }

    static List<String> connected(String url) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url)) {
            return rows(connection, "SELECT 1");
        }
    }

    static void statements(Connection connection) throws SQLException {
        say("events", rows(connection, "SELECT event_id FROM federated_events ORDER BY event_id"));
        String typed = "SELECT timestamp, event_id, version, late, NULL AS none, 1.5 AS number, concat(service_id, '!') AS text "
            + "FROM federated_events ORDER BY event_id LIMIT 1";
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(typed)) {
            row.next();
            say("time", row.getTimestamp("timestamp").toInstant());
            say("typed", row.getString("event_id") + " " + (row.getLong("version") >= 0) + " " + row.getBoolean("late") + " "
                + row.getString("none") + " " + row.getDouble("number") + " " + row.getString("text"));
        }
        String sql = "SELECT event_id FROM federated_events WHERE service_id = ? AND event_id <> ? ORDER BY event_id LIMIT 2";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            say("parameters", statement.getParameterMetaData().getParameterCount());
            List<String> all = new ArrayList<>();
            for (String service : new String[] {"api", "web"}) {
                statement.setString(1, service);
                statement.setString(2, "p1");
                all.add(texts(statement.executeQuery()).toString());
            }
            say("with_values", all);
        }
    }

    static void lists(DatabaseMetaData data) throws SQLException {
        say("server", data.getDatabaseProductName() + " " + data.isReadOnly() + " " + data.supportsTransactions() + " "
            + data.getIdentifierQuoteString() + " " + data.supportsFullOuterJoins() + " " + data.supportsUnionAll());
        say("numbers", data.getMaxStatementLength() + " " + data.getMaxColumnsInSelect() + " "
            + data.getDefaultTransactionIsolation() + " " + data.getSQLKeywords().length());
        say("catalogs", texts(data.getCatalogs()));
        say("schemas", texts(data.getSchemas()));
        say("table_types", texts(data.getTableTypes()));
        say("tables", column(data.getTables("reef", null, "federated%", null), "TABLE_NAME"));
        say("columns", column(data.getColumns(null, null, "colony_status", null), "COLUMN_NAME"));
        say("primary_keys", texts(data.getPrimaryKeys(null, null, "federated_events")));
        say("imported_keys", texts(data.getImportedKeys(null, null, "federated_events")));
        say("exported_keys", texts(data.getExportedKeys(null, null, "federated_events")));
    }

    static void refusals(Connection connection) throws SQLException {
        say("wrong_sql", refusal(() -> rows(connection, "SELECT * FORM federated_events")));
        say("changed", refusal(() -> changed(connection, "DELETE FROM federated_events")));
        say("too_many_rows", refusal(() -> rows(connection, "SELECT value FROM generate_series(1, 200000)").size()));
    }

    /** What the readers of statements see that another thread cancels; the statements stay open. */
    static List<String> cancelled(Connection connection) throws SQLException {
        List<String> all = new ArrayList<>();
        List<Statement> open = new ArrayList<>();
        while (all.size() < CANCELLED) {
            Statement statement = connection.createStatement();
            open.add(statement);
            String said = refusal(() -> readUntilCancelled(statement));
            all.add(said.toLowerCase().contains("cancel") ? "cancelled" : said);
        }
        for (Statement statement : open) {
            refusal(() -> closed(statement));
        }
        return all;
    }

    static boolean closed(Statement statement) throws SQLException {
        statement.close();
        return statement.isClosed();
    }

    static long readUntilCancelled(Statement statement) throws SQLException {
        ResultSet rows = statement.executeQuery(ENDLESS);
        Thread other = new Thread(() -> refusal(() -> {
            statement.cancel();
            return "cancelled";
        }));
        long count = 0;
        while (rows.next()) {
            count += 1;
            if (count == 1) {
                other.start();
            }
        }
        return count;
    }

    static List<String> rows(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return texts(statement.executeQuery(sql));
        }
    }

    static int changed(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return statement.executeUpdate(sql);
        }
    }

    static List<String> texts(ResultSet rows) throws SQLException {
        List<String> all = new ArrayList<>();
        try (rows) {
            while (rows.next()) {
                List<String> row = new ArrayList<>();
                for (int place = 1; place <= rows.getMetaData().getColumnCount(); place++) {
                    row.add(rows.getString(place));
                }
                all.add(String.join(".", row));
            }
        }
        return all;
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> all = new ArrayList<>();
        try (rows) {
            while (rows.next()) {
                all.add(rows.getString(name));
            }
        }
        return all;
    }

    static String refusal(Work work) {
        try {
            return "nothing was refused: " + work.done();
        } catch (SQLException | RuntimeException error) {
            StringBuilder said = new StringBuilder();
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                said.append(cause.getMessage()).append(" | ");
            }
            return said.toString().replace('\n', ' ');
        }
    }

    static void say(String name, Object value) {
        System.out.println(name + ": " + value);
    }
}
