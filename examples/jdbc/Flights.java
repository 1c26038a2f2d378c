import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;

/**
 * Asks a node for the airlines that fly from an airport, over JDBC.
 *
 * <p>Java 17 runs this file as it is, with Arrow's driver (org.apache.arrow:flight-sql-jdbc-driver) on the class path:
 *
 * <pre>
 *   export JETWAY_TOKEN=$(cat jetway-data/admin-token)
 *   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp flight-sql-jdbc-driver-18.3.0.jar \
 *       examples/jdbc/Flights.java 127.0.0.1:50050 JFK
 * </pre>
 */
public final class Flights {
    private static final String DELAYS = """
            SELECT a.name, count(*) AS flights, avg(f.arr_delay) AS delay
            FROM admin.flights f JOIN admin.airlines a ON a.carrier = f.carrier
            WHERE f.origin = ?
            GROUP BY a.name
            ORDER BY flights DESC
            LIMIT 3""";

    public static void main(String[] arguments) throws SQLException {
        String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:50050";
        String origin = arguments.length > 1 ? arguments[1] : "JFK";
        try (Connection connection = connect(address)) {
            tables(connection);
            delays(connection, origin);
        }
    }

    /** A token as a property; "user" and "password" do as well. The driver expects TLS unless told otherwise. */
    private static Connection connect(String address) throws SQLException {
        String token = System.getenv("JETWAY_TOKEN");
        if (token == null) {
            throw new SQLException("set JETWAY_TOKEN: `jetway token create` prints one");
        }
        Properties properties = new Properties();
        properties.setProperty("token", token);
        properties.setProperty("useEncryption", "false");
        return DriverManager.getConnection("jdbc:arrow-flight-sql://" + address, properties);
    }

    private static void tables(Connection connection) throws SQLException {
        try (ResultSet tables = connection.getMetaData().getTables("jetway", "admin", "%", new String[] {"TABLE"})) {
            while (tables.next()) {
                System.out.println("admin." + tables.getString("TABLE_NAME"));
            }
        }
    }

    private static void delays(Connection connection, String origin) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(DELAYS)) {
            statement.setString(1, origin);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    System.out.printf("%-30s %,7d flights, %5.1f minutes late%n",
                            rows.getString("name"), rows.getLong("flights"), rows.getDouble("delay"));
                }
            }
        }
    }
}
