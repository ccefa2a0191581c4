import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * What Flink makes of expressions. A file says of which columns and over which rows (a path, a row a line):
 *
 *   {"columns": "id INT, s STRING", "rows": "rows.ndjson", "expressions": [...], "aggregates": [...], "failing": [...]}
 *
 * A line of JSON comes out for each expression: its type and its values as texts, row by row; or why Flink refuses it,
 * or with which error it ends. Aggregates have one value, and what is to fail is asked of the first row alone.
 *
 * Rows come out of a file, so that nothing is folded into a constant while the query is planned.
 */
public class Evaluate {
  /** How many expressions one job computes: a job takes a second, whatever it does. */
  private static final int TOGETHER = 64;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final TableEnvironment flink;
  private final PrintStream out;

  public static void main(String[] args) throws Exception {
    JsonNode asked = JSON.readTree(Path.of(args[0]).toFile());
    Configuration configuration = new Configuration();
    configuration.set(CoreOptions.DEFAULT_PARALLELISM, 1);
    configuration.setString("table.local-time-zone", "UTC");
    configuration.setString("restart-strategy.type", "none");
    TableEnvironment flink =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inBatchMode().withConfiguration(configuration).build());
    flink.executeSql(
        "CREATE TABLE given (%s) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '%s')"
            .formatted(asked.get("columns").asText(), asked.get("rows").asText()));
    Evaluate evaluate = new Evaluate(flink, System.out);
    evaluate.answerAll(asked.get("expressions"), "SELECT id, %s FROM given");
    evaluate.answerAll(asked.get("aggregates"), "SELECT MAX(0), %s FROM given");
    for (JsonNode one : asked.get("failing"))
      evaluate.answerAll(JSON.createArrayNode().add(one), "SELECT id, %s FROM given WHERE id = 0");
    System.exit(0);
  }

  Evaluate(TableEnvironment flink, PrintStream out) {
    this.flink = flink;
    this.out = out;
  }

  private void answerAll(JsonNode expressions, String select) throws Exception {
    List<ObjectNode> accepted = new ArrayList<>();
    for (JsonNode expression : expressions) {
      ObjectNode answer = JSON.createObjectNode().put("sql", expression.asText());
      try {
        var schema = flink.sqlQuery(select.formatted(expression.asText())).getResolvedSchema();
        answer.put("type", schema.getColumnDataTypes().get(1).getLogicalType().asSerializableString());
        accepted.add(answer);
      } catch (Exception error) {
        out.println(JSON.writeValueAsString(answer.put("refused", reasonOf(error))));
      }
    }
    for (int from = 0; from < accepted.size(); from += TOGETHER)
      answer(accepted.subList(from, Math.min(accepted.size(), from + TOGETHER)), select);
  }

  /** Halves of what fails are asked again, down to the one expression that does. */
  private void answer(List<ObjectNode> answers, String select) throws Exception {
    try {
      List<Row> rows = rowsOf(answers, select);
      for (int i = 0; i < answers.size(); i++) {
        ArrayNode values = answers.get(i).putArray("values");
        for (Row row : rows) values.add(textOf(row.getField(i + 1)));
      }
    } catch (Exception error) {
      if (answers.size() > 1) {
        int half = answers.size() / 2;
        answer(answers.subList(0, half), select);
        answer(answers.subList(half, answers.size()), select);
        return;
      }
      answers.get(0).put("error", reasonOf(error)).remove("values");
    }
    for (ObjectNode answer : answers) out.println(JSON.writeValueAsString(answer));
  }

  /** In the order of their numbers. */
  private List<Row> rowsOf(List<ObjectNode> answers, String select) throws Exception {
    String items = String.join(", ", answers.stream().map(one -> one.get("sql").asText()).toList());
    List<Row> rows = new ArrayList<>();
    try (CloseableIterator<Row> found = flink.executeSql(select.formatted(items)).collect()) {
      found.forEachRemaining(rows::add);
    }
    rows.sort((a, b) -> Integer.compare((int) a.getField(0), (int) b.getField(0)));
    return rows;
  }

  private static String textOf(Object value) {
    return value == null ? null : value.toString();
  }

  /** The innermost cause, in a line. */
  private static String reasonOf(Throwable error) {
    while (error.getCause() != null) error = error.getCause();
    String message = String.valueOf(error.getMessage()).split("\n")[0];
    return error.getClass().getSimpleName() + ": " + message;
  }
}
