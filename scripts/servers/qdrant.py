"""Qdrant's engine in this process, behind the gRPC services of Qdrant's client: qdrant.py FOLDER PORT [API-KEY]

Collections, points, payload indexes, filters, dense and sparse vectors, conditional updates; one node, one shard. Every answer is the
engine's; what is not here is UNIMPLEMENTED.
"""

import importlib.util
import pathlib
import shutil
import signal
import sys
import threading
import types
from concurrent import futures

import grpc
import qdrant_edge as edge

# the client's package itself needs much that its messages do not
_where = importlib.util.find_spec("qdrant_client").submodule_search_locations
_package = types.ModuleType("qdrant_client")
_package.__path__ = _where
sys.modules["qdrant_client"] = _package
from qdrant_client.grpc import (  # noqa: E402
    collections_pb2 as collections,
    collections_service_pb2_grpc as collections_service,
    json_with_int_pb2 as values,
    points_pb2 as points,
    points_service_pb2_grpc as points_service,
    qdrant_pb2 as root,
    qdrant_pb2_grpc as root_service,
)

try:
    from qdrant_client.grpc import qdrant_common_pb2 as common  # noqa: E402
except ImportError:
    common = points

# updates are optimized (vectors indexed) after so many points
OPTIMIZED_AFTER = 1_000


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def invalid(message):
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def unknown(message):
    return Refused(grpc.StatusCode.UNIMPLEMENTED, message)


# --- values, filters and vectors, from messages to the engine and back


def read_value(value):
    which = value.WhichOneof("kind")
    if which in (None, "null_value"):
        return None
    if which == "struct_value":
        return {name: read_value(of) for name, of in value.struct_value.fields.items()}
    if which == "list_value":
        return [read_value(of) for of in value.list_value.values]
    return getattr(value, which)


def write_value(value):
    if value is None:
        return values.Value(null_value=0)
    if isinstance(value, bool):
        return values.Value(bool_value=value)
    if isinstance(value, int):
        return values.Value(integer_value=value)
    if isinstance(value, float):
        return values.Value(double_value=value)
    if isinstance(value, str):
        return values.Value(string_value=value)
    if isinstance(value, dict):
        return values.Value(struct_value=values.Struct(fields={k: write_value(v) for k, v in value.items()}))
    return values.Value(list_value=values.ListValue(values=[write_value(v) for v in value]))


def read_id(id):
    which = id.WhichOneof("point_id_options")
    return getattr(id, which)


def write_id(id):
    return common.PointId(num=id) if isinstance(id, int) else common.PointId(uuid=str(id))


def read_match(match):
    which = match.WhichOneof("match_value")
    said = getattr(match, which)
    if which in ("keyword", "integer", "boolean"):
        return edge.MatchValue(said)
    if which == "keywords":
        return edge.MatchAny(list(said.strings))
    if which == "integers":
        return edge.MatchAny(list(said.integers))
    if which == "except_keywords":
        return edge.MatchExcept(list(said.strings))
    if which == "except_integers":
        return edge.MatchExcept(list(said.integers))
    raise unknown(f"a match of {which}")


def read_condition(condition):
    which = condition.WhichOneof("condition_one_of")
    said = getattr(condition, which)
    if which == "filter":
        return read_filter(said)
    if which == "has_id":
        return edge.HasIdCondition({read_id(id) for id in said.has_id})
    if which == "is_empty":
        return edge.IsEmptyCondition(said.key)
    if which != "field":
        raise unknown(f"a condition {which}")
    if said.HasField("match"):
        return edge.FieldCondition(said.key, match=read_match(said.match))
    if said.HasField("range"):
        ends = {name: getattr(said.range, name) for name in ("gt", "gte", "lt", "lte") if said.range.HasField(name)}
        return edge.FieldCondition(said.key, range=edge.RangeFloat(**ends))
    raise unknown("a condition on a field that is no match and no range")


def read_filter(said):
    if said.HasField("min_should"):
        raise unknown("min_should")
    parts = {name: [read_condition(of) for of in getattr(said, name)] or None for name in ("must", "should", "must_not")}
    return edge.Filter(**parts)


def filter_of(request, name="filter"):
    return read_filter(getattr(request, name)) if request.HasField(name) else None


def read_vector(vector):
    which = vector.WhichOneof("vector")
    if which == "dense":
        return list(vector.dense.data)
    if which == "sparse":
        return edge.SparseVector(list(vector.sparse.indices), list(vector.sparse.values))
    raise unknown("a vector that is not dense or sparse, or in the old form")


def read_vectors(vectors):
    which = vectors.WhichOneof("vectors_options")
    if which is None:
        return {}
    if which != "vectors":
        raise unknown("a vector without a name")
    return {name: read_vector(of) for name, of in vectors.vectors.vectors.items()}


def write_vectors(vectors):
    named = {}
    for name, vector in (vectors or {}).items():
        if isinstance(vector, edge.SparseVector):
            sparse = points.SparseVector(indices=vector.indices, values=vector.values)
            named[name] = points.VectorOutput(sparse=sparse)
        else:
            named[name] = points.VectorOutput(dense=points.DenseVector(data=vector))
    return points.VectorsOutput(vectors=points.NamedVectorsOutput(vectors=named))


def wanted(request, name, inside):
    """What a request wants of payload or vectors: a truth value or names."""
    if not request.HasField(name):
        return False
    selector = getattr(request, name)
    which = selector.WhichOneof("selector_options")
    if which == "enable":
        return selector.enable
    if which == "include":
        return list(getattr(selector.include, inside)) or False
    raise unknown(f"{name} without some")


def payload_and_vectors(request):
    return {"with_payload": wanted(request, "with_payload", "fields"), "with_vector": wanted(request, "with_vectors", "names")}


def write_record(record, of, **more):
    payload = {name: write_value(value) for name, value in (record.payload or {}).items()}
    return of(id=write_id(record.id), payload=payload, vectors=write_vectors(record.vector), **more)


# --- collections


def quantization(said):
    if said.WhichOneof("quantization") != "scalar":
        raise unknown("a quantization that is not scalar")
    return edge.ScalarQuantizationConfig(edge.ScalarType.Int8, always_ram=True)


def config_of(request):
    if request.vectors_config.WhichOneof("config") != "params_map":
        raise unknown("vectors without names")
    dense, sparse = {}, {}
    for name, said in request.vectors_config.params_map.map.items():
        distance = {collections.Cosine: edge.Distance.Cosine, collections.Dot: edge.Distance.Dot, collections.Euclid: edge.Distance.Euclid}
        graph = said.hnsw_config
        dense[name] = edge.EdgeVectorParams(
            said.size,
            distance[said.distance],
            quantization_config=quantization(said.quantization_config) if said.HasField("quantization_config") else None,
            hnsw_config=edge.HnswIndexConfig(
                graph.m or 16, graph.ef_construct or 100, graph.full_scan_threshold or 10_000, payload_m=graph.payload_m or None
            ),
        )
    for name in request.sparse_vectors_config.map:
        sparse[name] = edge.EdgeSparseVectorParams()
    return edge.EdgeConfig(vectors=dense, sparse_vectors=sparse)


class Engine:
    """The collections, each a shard in a folder of its own; one call at a time."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.lock = threading.Lock()
        self.shards = {path.name: edge.EdgeShard.load(str(path)) for path in self.folder.iterdir() if path.is_dir()}
        self.waiting = {}

    def shard(self, name):
        if name not in self.shards:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Collection `{name}` doesn't exist!")
        return self.shards[name]

    def create(self, request):
        name = request.collection_name
        if name in self.shards:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Collection `{name}` already exists!")
        if not name or "/" in name or name.startswith("."):
            raise invalid("a collection's name")
        path = self.folder / name
        path.mkdir()
        self.shards[name] = edge.EdgeShard.create(str(path), config_of(request))

    def delete(self, name):
        shard = self.shards.pop(name, None)
        if shard is not None:
            shard.close()
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return shard is not None

    def update(self, name, operation, size=0):
        shard = self.shard(name)
        shard.update(operation)
        self.waiting[name] = self.waiting.get(name, 0) + size
        if self.waiting[name] >= OPTIMIZED_AFTER:
            self.waiting[name] = 0
            shard.optimize()

    def close(self):
        for shard in self.shards.values():
            shard.close()


def call(method):
    """Runs a call on the engine alone, and answers what it raises as the server does."""

    def run(self, request, context):
        if self.key and dict(context.invocation_metadata()).get("api-key") != self.key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key or an Authorization bearer token")
        try:
            with self.engine.lock:
                return method(self, request)
        except Refused as refused:
            code, message = refused.code, str(refused)
        except (ValueError, TypeError, OverflowError) as error:
            code, message = grpc.StatusCode.INVALID_ARGUMENT, str(error)
        except Exception as error:  # the engine's own
            code, message = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        print(f"{method.__name__}: {code.name}: {message}", file=sys.stderr, flush=True)
        context.abort(code, message)

    return run


class Service:
    def __init__(self, engine, key):
        self.engine, self.key = engine, key


class Root(Service, root_service.QdrantServicer):
    @call
    def HealthCheck(self, request):
        return root.HealthCheckReply(title="the engine of qdrant-edge-py, a stand-in", version="1.19.0")


class Collections(Service, collections_service.CollectionsServicer):
    @call
    def Create(self, request):
        self.engine.create(request)
        return collections.CollectionOperationResponse(result=True)

    @call
    def Delete(self, request):
        return collections.CollectionOperationResponse(result=self.engine.delete(request.collection_name))

    @call
    def CollectionExists(self, request):
        exists = collections.CollectionExists(exists=request.collection_name in self.engine.shards)
        return collections.CollectionExistsResponse(result=exists)

    @call
    def List(self, request):
        names = [collections.CollectionDescription(name=name) for name in sorted(self.engine.shards)]
        return collections.ListCollectionsResponse(collections=names)


def completed():
    return points.PointsOperationResponse(result=points.UpdateResult(operation_id=0, status=points.Completed))


def index_of(request):
    said = request.field_index_params
    which = said.WhichOneof("index_params") if request.HasField("field_index_params") else None
    if which == "keyword_index_params":
        return edge.KeywordIndexParams(is_tenant=said.keyword_index_params.is_tenant)
    if which == "integer_index_params":
        return edge.IntegerIndexParams(lookup=said.integer_index_params.lookup, range=said.integer_index_params.range)
    kinds = {points.FieldTypeKeyword: "Keyword", points.FieldTypeInteger: "Integer", points.FieldTypeFloat: "Float"}
    if which is not None or request.field_type not in kinds:
        raise unknown("an index of this type")
    return getattr(edge.PayloadSchemaType, kinds[request.field_type])


class Points(Service, points_service.PointsServicer):
    @call
    def Upsert(self, request):
        put = []
        for point in request.points:
            payload = {name: read_value(value) for name, value in point.payload.items()}
            put.append(edge.Point(read_id(point.id), read_vectors(point.vectors), payload))
        if request.update_mode:
            raise unknown("update_mode")
        operation = edge.UpdateOperation.upsert_points(put, condition=filter_of(request, "update_filter"))
        self.engine.update(request.collection_name, operation, len(put))
        return completed()

    @call
    def UpdateVectors(self, request):
        put = [edge.PointVectors(read_id(point.id), read_vectors(point.vectors)) for point in request.points]
        self.engine.update(request.collection_name, edge.UpdateOperation.update_vectors(put), len(put))
        return completed()

    @call
    def Delete(self, request):
        if request.points.WhichOneof("points_selector_one_of") == "points":
            operation = edge.UpdateOperation.delete_points([read_id(id) for id in request.points.points.ids])
        else:
            operation = edge.UpdateOperation.delete_points_by_filter(read_filter(request.points.filter))
        self.engine.update(request.collection_name, operation)
        return completed()

    @call
    def SetPayload(self, request):
        payload = {name: read_value(value) for name, value in request.payload.items()}
        matches = read_filter(request.points_selector.filter)
        self.engine.update(request.collection_name, edge.UpdateOperation.set_payload_by_filter(matches, payload))
        return completed()

    @call
    def DeletePayload(self, request):
        matches = read_filter(request.points_selector.filter)
        self.engine.update(request.collection_name, edge.UpdateOperation.delete_payload_by_filter(matches, list(request.keys)))
        return completed()

    @call
    def CreateFieldIndex(self, request):
        operation = edge.UpdateOperation.create_field_index(request.field_name, index_of(request))
        self.engine.update(request.collection_name, operation)
        return completed()

    @call
    def Get(self, request):
        ids = [read_id(id) for id in request.ids]
        read = self.engine.shard(request.collection_name).retrieve(ids, **payload_and_vectors(request))
        return points.GetResponse(result=[write_record(record, points.RetrievedPoint) for record in read])

    @call
    def Scroll(self, request):
        offset = read_id(request.offset) if request.HasField("offset") else None
        scroll = edge.ScrollRequest(
            offset=offset, limit=request.limit or 10, filter=filter_of(request), **payload_and_vectors(request)
        )
        read, following = self.engine.shard(request.collection_name).scroll(scroll)
        answer = points.ScrollResponse(result=[write_record(record, points.RetrievedPoint) for record in read])
        if following is not None:
            answer.next_page_offset.CopyFrom(write_id(following))
        return answer

    @call
    def Count(self, request):
        asked = edge.CountRequest(exact=request.exact, filter=filter_of(request))
        number = self.engine.shard(request.collection_name).count(asked)
        return points.CountResponse(result=points.CountResult(count=number))

    @call
    def Query(self, request):
        if request.query.WhichOneof("variant") != "nearest":
            raise unknown("a query that is not for the nearest")
        nearest = request.query.nearest
        which = nearest.WhichOneof("variant")
        if which == "dense":
            vector = list(nearest.dense.data)
        elif which == "sparse":
            vector = edge.SparseVector(list(nearest.sparse.indices), list(nearest.sparse.values))
        else:
            raise unknown("a query by something that is no vector")
        said = request.params
        packed = None
        if said.HasField("quantization"):
            of = said.quantization
            packed = edge.QuantizationSearchParams(
                ignore=of.ignore,
                rescore=of.rescore if of.HasField("rescore") else None,
                oversampling=of.oversampling if of.HasField("oversampling") else None,
            )
        params = edge.SearchParams(
            hnsw_ef=said.hnsw_ef if said.HasField("hnsw_ef") else None, exact=said.exact, quantization=packed
        )
        query = edge.QueryRequest(
            limit=request.limit or 10,
            query=edge.Query.Nearest(vector, using=request.using),
            filter=filter_of(request),
            params=params,
            **payload_and_vectors(request),
        )
        found = self.engine.shard(request.collection_name).query(query)
        return points.QueryResponse(result=[write_record(point, points.ScoredPoint, score=point.score) for point in found])


def main(folder, port, key=""):
    engine = Engine(folder)
    sizes = [("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=sizes)
    root_service.add_QdrantServicer_to_server(Root(engine, key), server)
    collections_service.add_CollectionsServicer_to_server(Collections(engine, key), server)
    points_service.add_PointsServicer_to_server(Points(engine, key), server)
    if server.add_insecure_port(f"127.0.0.1:{port}") == 0:
        sys.exit(f"the port {port} is taken")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server.start()
    ended.wait()
    server.stop(2).wait()
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
