import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.arrow.driver.jdbc.shaded.com.google.gson.Gson;
import org.apache.arrow.driver.jdbc.shaded.com.google.gson.GsonBuilder;
import org.apache.arrow.driver.jdbc.shaded.com.google.gson.JsonArray;
import org.apache.arrow.driver.jdbc.shaded.com.google.gson.JsonElement;
import org.apache.arrow.driver.jdbc.shaded.com.google.gson.JsonObject;
import org.apache.arrow.driver.jdbc.shaded.com.google.gson.JsonParser;

/**
 * JDBC by remote control: each line of the input is a call as JSON, each line of the output what came of it.
 *
 * <p>The tests are in Python (test_jdbc.py); here is only what JDBC itself does, so that one virtual machine serves them all. Values travel as
 * texts, as {@code toString()} shows them, bytes in hexadecimal.
 */
public final class Driver {
    private static final Gson JSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private final Map<Integer, Connection> connections = new LinkedHashMap<>();

    public static void main(String[] arguments) throws IOException {
        // What libraries print must not stand between the answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Driver driver = new Driver();
        BufferedReader calls = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = calls.readLine(); line != null; line = calls.readLine()) {
            answers.println(JSON.toJson(driver.answer(JsonParser.parseString(line).getAsJsonObject())));
            answers.flush();
        }
    }

    private Map<String, Object> answer(JsonObject call) {
        try {
            return map("value", perform(call));
        } catch (Throwable error) {
            Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
            String state = cause instanceof SQLException sql ? sql.getSQLState() : null;
            StringBuilder message = new StringBuilder();
            for (Throwable link = cause; link != null; link = link.getCause()) {
                message.append(link.getMessage()).append('\n');
            }
            return map("error", map("type", cause.getClass().getName(), "message", message.toString(), "state", state));
        }
    }

    private Object perform(JsonObject call) throws Exception {
        String name = call.get("call").getAsString();
        if (name.equals("connect")) {
            return connect(call);
        }
        Connection connection = connections.get(call.get("connection").getAsInt());
        return switch (name) {
            case "close" -> {
                connection.close();
                yield null;
            }
            case "setCatalog" -> {
                connection.setCatalog(call.get("value").getAsString());
                yield connection.getCatalog();
            }
            case "setSchema" -> {
                connection.setSchema(call.get("value").getAsString());
                yield connection.getSchema();
            }
            case "metadata" -> metadata(connection, call.get("method").getAsString(), call.getAsJsonArray("arguments"));
            case "execute" -> execute(connection, call.get("sql").getAsString());
            case "update" -> update(connection, call.get("sql").getAsString());
            case "query" -> query(connection, call.get("sql").getAsString(), call.getAsJsonArray("parameters"));
            case "batch" -> batch(connection, call.get("sql").getAsString(), call.getAsJsonArray("rows"));
            case "preparedUpdate" ->
                    preparedUpdate(connection, call.get("sql").getAsString(), call.getAsJsonArray("parameters"));
            case "describe" -> describe(connection, call.get("sql").getAsString());
            case "cancel" -> cancel(connection, call.get("sql").getAsString(), call.get("after").getAsLong());
            case "count" -> count(connection, call.get("sql").getAsString());
            case "timestamp" -> timestamp(connection, call.get("sql").getAsString());
            case "objectAs" -> objectAs(connection, call.get("sql").getAsString(), call.get("class").getAsString());
            default -> throw new IllegalArgumentException("no call " + name);
        };
    }

    private int connect(JsonObject call) throws SQLException {
        Properties properties = new Properties();
        for (Map.Entry<String, JsonElement> property : call.getAsJsonObject("properties").entrySet()) {
            properties.setProperty(property.getKey(), property.getValue().getAsString());
        }
        int id = connections.size();
        connections.put(id, DriverManager.getConnection(call.get("url").getAsString(), properties));
        return id;
    }

    /** Any method of DatabaseMetaData, by name and arguments: texts, numbers, truths, lists of texts and nulls. */
    private static Object metadata(Connection connection, String name, JsonArray arguments) throws Exception {
        for (Method method : java.sql.DatabaseMetaData.class.getMethods()) {
            if (method.getName().equals(name) && method.getParameterCount() == arguments.size()) {
                Object[] values = new Object[arguments.size()];
                for (int i = 0; i < values.length; i++) {
                    values[i] = argument(arguments.get(i), method.getParameterTypes()[i]);
                }
                Object answer = method.invoke(connection.getMetaData(), values);
                if (answer instanceof ResultSet opened) {
                    try (ResultSet rows = opened) {
                        return rows(rows);
                    }
                }
                return answer;
            }
        }
        throw new IllegalArgumentException("no method " + name);
    }

    private static Object argument(JsonElement value, Class<?> type) {
        if (value.isJsonNull()) {
            return null;
        }
        return JSON.fromJson(value, type);
    }

    /** Statement.execute: tells whether there are rows, and gives them or the count. */
    private static Object execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            if (!statement.execute(sql)) {
                return statement.getLargeUpdateCount();
            }
            try (ResultSet rows = statement.getResultSet()) {
                return rows(rows);
            }
        }
    }

    private static long update(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return statement.executeLargeUpdate(sql);
        }
    }

    private static Object query(Connection connection, String sql, JsonArray parameters) throws SQLException {
        if (parameters.isEmpty()) {
            try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
                return rows(rows);
            }
        }
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            bind(connection, statement, parameters);
            try (ResultSet rows = statement.executeQuery()) {
                return rows(rows);
            }
        }
    }

    private static long preparedUpdate(Connection connection, String sql, JsonArray parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            bind(connection, statement, parameters);
            return statement.executeLargeUpdate();
        }
    }

    private static long[] batch(Connection connection, String sql, JsonArray rows) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (JsonElement row : rows) {
                bind(connection, statement, row.getAsJsonArray());
                statement.addBatch();
            }
            return statement.executeLargeBatch();
        }
    }

    /** What a prepared statement says of its parameters and columns before it runs. */
    private static Object describe(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            ParameterMetaData metadata = statement.getParameterMetaData();
            List<Object> parameters = new ArrayList<>();
            for (int i = 1; i <= metadata.getParameterCount(); i++) {
                parameters.add(map(
                        "type", metadata.getParameterType(i),
                        "typeName", metadata.getParameterTypeName(i),
                        "precision", metadata.getPrecision(i),
                        "scale", metadata.getScale(i)));
            }
            ResultSetMetaData columns = statement.getMetaData();
            return map("parameters", parameters, "columns", columns == null ? null : columns(columns));
        }
    }

    /** Cancels from another thread while rows are read; gives how many rows were read and how the reading ended. */
    private static Object cancel(Connection connection, String sql, long after) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(after);
                    statement.cancel();
                } catch (InterruptedException | SQLException error) {
                    error.printStackTrace();
                }
            });
            canceller.start();
            long count = 0;
            String ended = "with all rows";
            try (ResultSet rows = statement.executeQuery(sql)) {
                while (rows.next()) {
                    count++;
                }
            } catch (SQLException error) {
                ended = error.getClass().getSimpleName() + ": " + error.getMessage();
            }
            canceller.join();
            return map("rows", count, "ended", ended);
        }
    }

    /** Rows counted without keeping them. */
    private static long count(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            long count = 0;
            while (rows.next()) {
                count++;
            }
            return count;
        }
    }

    /** The first value as the moment that it means, and as it reads in two zones. */
    private static Object timestamp(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            Timestamp value = rows.getTimestamp(1);
            java.util.Calendar zurich = java.util.Calendar.getInstance(java.util.TimeZone.getTimeZone("Europe/Zurich"));
            return map("instant", value.toInstant().toString(), "text", rows.getString(1), "object", text(rows.getObject(1)),
                    "calendar", rows.getTimestamp(1, zurich).toInstant().toString(),
                    "type", rows.getMetaData().getColumnTypeName(1));
        }
    }

    /** The first value as an object of a class. */
    private static Object objectAs(Connection connection, String sql, String name) throws Exception {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return text(rows.getObject(1, Class.forName(name)));
        }
    }

    private static void bind(Connection connection, PreparedStatement statement, JsonArray parameters)
            throws SQLException {
        for (int i = 0; i < parameters.size(); i++) {
            JsonArray parameter = parameters.get(i).getAsJsonArray();
            JsonElement value = parameter.get(1);
            int at = i + 1;
            switch (parameter.get(0).getAsString()) {
                case "null" -> statement.setNull(at, value.getAsInt());
                case "boolean" -> statement.setBoolean(at, value.getAsBoolean());
                case "byte" -> statement.setByte(at, value.getAsByte());
                case "short" -> statement.setShort(at, value.getAsShort());
                case "int" -> statement.setInt(at, value.getAsInt());
                case "long" -> statement.setLong(at, value.getAsLong());
                case "float" -> statement.setFloat(at, value.getAsFloat());
                case "double" -> statement.setDouble(at, value.getAsDouble());
                case "decimal" -> statement.setBigDecimal(at, new BigDecimal(value.getAsString()));
                case "string" -> statement.setString(at, value.getAsString());
                case "bytes" -> statement.setBytes(at, HexFormat.of().parseHex(value.getAsString()));
                case "date" -> statement.setDate(at, Date.valueOf(value.getAsString()));
                case "time" -> statement.setTime(at, Time.valueOf(value.getAsString()));
                case "timestamp" -> statement.setTimestamp(at, Timestamp.valueOf(value.getAsString()));
                case "ints" -> statement.setArray(at,
                        connection.createArrayOf("INTEGER", JSON.fromJson(value, Integer[].class)));
                default -> throw new IllegalArgumentException("no parameter type " + parameter);
            }
        }
    }

    private static Object rows(ResultSet rows) throws SQLException {
        ResultSetMetaData metadata = rows.getMetaData();
        List<List<Object>> values = new ArrayList<>();
        while (rows.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= metadata.getColumnCount(); i++) {
                row.add(text(rows.getObject(i)));
            }
            values.add(row);
        }
        return map("columns", columns(metadata), "rows", values);
    }

    private static List<Object> columns(ResultSetMetaData metadata) throws SQLException {
        List<Object> columns = new ArrayList<>();
        for (int i = 1; i <= metadata.getColumnCount(); i++) {
            columns.add(map(
                    "name", metadata.getColumnName(i),
                    "label", metadata.getColumnLabel(i),
                    "type", metadata.getColumnType(i),
                    "typeName", metadata.getColumnTypeName(i),
                    "precision", metadata.getPrecision(i),
                    "scale", metadata.getScale(i),
                    "nullable", metadata.isNullable(i),
                    "catalog", metadata.getCatalogName(i),
                    "schema", metadata.getSchemaName(i),
                    "table", metadata.getTableName(i)));
        }
        return columns;
    }

    private static Object text(Object value) throws SQLException {
        if (value == null) {
            return null;
        }
        if (value instanceof byte[] bytes) {
            return HexFormat.of().formatHex(bytes);
        }
        if (value instanceof Array array) {
            List<Object> items = new ArrayList<>();
            for (Object item : (Object[]) array.getArray()) {
                items.add(text(item));
            }
            return items;
        }
        return value.toString();
    }

    private static Map<String, Object> map(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], pairs[i + 1]);
        }
        return map;
    }
}
