package dev.outrigger;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** All that one process serves. A single function serves every request, whatever name it asks for. */
final class Functions {
    private final Map<String, Function> byName = new LinkedHashMap<>();

    /** A handler under the name that the sidecar asks for it by. */
    record Function(String name, boolean streaming, Handler.WithContext<Object> handler) {}

    void add(Function function) {
        if (byName.putIfAbsent(function.name(), function) != null) {
            throw new IllegalArgumentException("two functions have the name " + function.name());
        }
    }

    /** The function for a request; null where the name fits none of several. */
    Function select(String name) {
        return byName.size() == 1 ? byName.values().iterator().next() : byName.get(name);
    }

    String names() {
        return String.join(", ", byName.keySet());
    }

    boolean isEmpty() {
        return byName.isEmpty();
    }

    /** The functions' entries in the hello frame. */
    List<Map<String, Object>> announcement() {
        List<Map<String, Object>> entries = new ArrayList<>();
        for (Function function : byName.values()) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", function.name());
            entry.put("args", List.of(Map.of("name", "payload")));
            if (function.streaming()) {
                entry.put("streaming", true);
            }
            entries.add(entry);
        }
        return entries;
    }
}
