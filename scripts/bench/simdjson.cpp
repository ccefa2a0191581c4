// simdjson FILE PASSES FIELD:KIND...: reads the time and fields of `data` of each line into columns by simdjson's On-Demand
// reader, and prints the seconds of one pass (the median), the lines, and a sum for each column, the time first.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>
#include "simdjson.h"

using namespace simdjson;

struct Column {
  std::string name;
  char kind; // s(tring), i(nt64), b(ool)
  std::vector<std::string_view> texts;
  std::vector<int64_t> longs;
};

static int digits(const char *at, int count) {
  int value = 0;
  for (int i = 0; i < count; i++) value = value * 10 + (at[i] - '0');
  return value;
}

// 2001-03-05T00:00:00Z and 2001-03-05T00:00:00.123Z -> microseconds since 1970.
static int64_t micros(std::string_view text) {
  const char *at = text.data();
  const int year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
  const int y = month <= 2 ? year - 1 : year;
  const int era = y / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t days = int64_t(era) * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
  const int64_t seconds = days * 86400 + digits(at + 11, 2) * 3600 + digits(at + 14, 2) * 60 + digits(at + 17, 2);
  return seconds * 1000000 + (text.size() == 24 ? digits(at + 20, 3) * 1000 : 0);
}

// Slices of the input, as ours are: what get_string gives stands only until the next line. The logs have no escapes.
static std::string_view slice(ondemand::value value) {
  std::string_view token = value.raw_json_token();
  while (token.back() != '"') token.remove_suffix(1);
  return token.substr(1, token.size() - 2);
}

static size_t pass(ondemand::parser &parser, const padded_string &text, std::vector<int64_t> &times, std::vector<Column> &columns) {
  times.clear();
  for (auto &column : columns) column.texts.clear(), column.longs.clear();
  ondemand::document_stream lines = parser.iterate_many(text, 1 << 20);
  for (auto line : lines) {
    // In whatever order members come, as ours are read.
    times.push_back(micros(std::string_view(line["time"])));
    ondemand::object data = line["data"];
    for (auto &column : columns) {
      if (column.kind == 's') {
        column.texts.push_back(slice(data[column.name]));
        continue;
      }
      ondemand::value value;
      const bool is_there = data[column.name].get(value) == SUCCESS && !value.is_null();
      column.longs.push_back(!is_there ? 0 : column.kind == 'b' ? int64_t(bool(value)) : int64_t(value));
    }
  }
  return times.size();
}

static uint64_t sum(const Column &column) {
  uint64_t total = 0;
  for (size_t row = 0; row < column.longs.size(); row++) total += (row + 1) * uint64_t(column.longs[row]);
  for (size_t row = 0; row < column.texts.size(); row++) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < column.texts[row].size(); i++) bytes += (i + 1) * uint8_t(column.texts[row][i]);
    total += (row + 1) * bytes;
  }
  return total;
}

int main(int count, char **words) {
  const padded_string text = padded_string::load(words[1]);
  std::vector<Column> columns;
  for (int i = 3; i < count; i++) {
    const std::string word = words[i];
    const size_t colon = word.rfind(':');
    columns.push_back({word.substr(0, colon), word[colon + 1], {}, {}});
  }
  ondemand::parser parser;
  std::vector<int64_t> times;
  std::vector<double> seconds;
  size_t lines = pass(parser, text, times, columns);
  for (int i = 0; i < std::atoi(words[2]); i++) {
    const auto start = std::chrono::steady_clock::now();
    lines = pass(parser, text, times, columns);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const Column moments = {"time", 'i', {}, times};
  std::printf("{\"seconds\":%.9f,\"lines\":%zu,\"sums\":[\"%llu\"", seconds[seconds.size() / 2], lines, (unsigned long long)sum(moments));
  for (const Column &column : columns) std::printf(",\"%llu\"", (unsigned long long)sum(column));
  std::printf("]}\n");
}
