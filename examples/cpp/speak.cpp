// Speaks with a voice of `python export.py --to torchscript`, without Python: ids of symbols in, a wav file out.
//
//   speak VOICE.pt OUT.wav ID [ID ...] [--noise N] [--noise-duration N] [--length N] [--speaker N] [--seed N]
//
// voice.json beside VOICE.pt has the table of symbols; what makes ids of a text in Python: docs/guide/exporting.md.
#include <torch/script.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

struct Options {
  std::string voice;
  std::string out;
  std::vector<int64_t> ids;
  float noise = 0.667F;          // standard deviation of the sound's noise
  float noise_duration = 0.8F;   // of the rhythm's
  float length = 1.0F;           // 2 is half as fast
  int64_t speaker = -1;          // -1: the voice has one
  int64_t seed = 0;
};

// A number with nothing behind it.
template <typename Number>
Number number(const std::string& word) {
  std::istringstream stream(word);
  Number value{};
  if (!(stream >> value) || !stream.eof()) throw std::invalid_argument("expected a number, found " + word);
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  std::vector<std::string> plain;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) != 0) {
      plain.push_back(word);
      continue;
    }
    if (i + 1 == argc) throw std::invalid_argument(word + " lacks its number");
    const std::string value = argv[++i];
    if (word == "--noise") options.noise = number<float>(value);
    else if (word == "--noise-duration") options.noise_duration = number<float>(value);
    else if (word == "--length") options.length = number<float>(value);
    else if (word == "--speaker") options.speaker = number<int64_t>(value);
    else if (word == "--seed") options.seed = number<int64_t>(value);
    else throw std::invalid_argument("there is no option " + word);
  }
  if (plain.size() < 3) throw std::invalid_argument("expected VOICE.pt OUT.wav ID [ID ...]");
  options.voice = plain[0];
  options.out = plain[1];
  for (size_t i = 2; i < plain.size(); ++i) options.ids.push_back(number<int64_t>(plain[i]));
  return options;
}

// Mono samples as 32-bit floats, so that nothing is rounded. Written for little-endian machines, as wav files are.
void write_wav(const std::string& path, const torch::Tensor& samples, uint32_t rate) {
  const uint32_t n_bytes = static_cast<uint32_t>(samples.numel() * sizeof(float));
  std::ofstream file(path, std::ios::binary);
  const auto text = [&](const char* value) { file.write(value, 4); };
  const auto bytes = [&](auto value) { file.write(reinterpret_cast<const char*>(&value), sizeof(value)); };
  text("RIFF"), bytes(uint32_t{36 + n_bytes}), text("WAVE");
  text("fmt "), bytes(uint32_t{16}), bytes(uint16_t{3}), bytes(uint16_t{1});  // floats, one channel
  bytes(rate), bytes(uint32_t{rate * 4}), bytes(uint16_t{4}), bytes(uint16_t{32});
  text("data"), bytes(n_bytes);
  file.write(reinterpret_cast<const char*>(samples.data_ptr<float>()), n_bytes);
  if (!file) throw std::runtime_error("cannot write " + path);
}

void speak(const Options& options) {
  torch::InferenceMode inference;
  torch::manual_seed(static_cast<uint64_t>(options.seed));
  torch::jit::ExtraFilesMap about{{"sample_rate", ""}, {"n_speakers", ""}, {"n_symbols", ""}};
  auto voice = torch::jit::load(options.voice, torch::kCPU, about);
  for (const auto& [name, value] : about) {
    if (value.empty()) throw std::invalid_argument(options.voice + " says no " + name + "; expected a file of export.py --to torchscript");
  }
  for (const int64_t id : options.ids) {
    if (id >= 0 && id < number<int64_t>(about["n_symbols"])) continue;
    throw std::invalid_argument("there is no symbol " + std::to_string(id) + "; the voice has " + about["n_symbols"]);
  }

  std::vector<torch::jit::IValue> inputs{
      torch::tensor(options.ids, torch::kInt64).unsqueeze(0),
      torch::tensor({options.noise, options.length, options.noise_duration})};
  const auto n_speakers = number<int64_t>(about["n_speakers"]);
  if (n_speakers > 1) {
    if (options.speaker < 0 || options.speaker >= n_speakers)
      throw std::invalid_argument("the voice has several speakers; expected --speaker 0 to " +
                                  std::to_string(n_speakers - 1));
    inputs.emplace_back(torch::tensor({options.speaker}, torch::kInt64));
  }
  const auto said = voice.forward(inputs).toTuple();
  const auto wav = said->elements()[0].toTensor().flatten().contiguous();  // [S]
  const auto rate = number<uint32_t>(about["sample_rate"]);
  write_wav(options.out, wav, rate);
  std::cout << options.out << ": " << static_cast<double>(wav.numel()) / rate << " s\n";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    speak(parse(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
