export const Classify = {
    text: "mutation Classify($input:ClassifyInput!){classify(input:$input){results{__typename ...on Classification{width height labels{label index score}}...on ImageError{code message}}receipt{...Receipt}}}fragment Receipt on Receipt{requestId model version compression device images units cachedImages replayed batchSize timings{totalMs decodeMs queueMs inferenceMs postprocessMs}quota{...Quota}}fragment Quota on QuotaState{meter limit used reserved remaining resetsAt}",
};
export const Detect = {
    text: "mutation Detect($input:DetectInput!$space:CoordinateSpace!){detect(input:$input){results{__typename ...on Detection{width height objects{label index score box(space:$space){...Box}}}...on ImageError{code message}}receipt{...Receipt}}}fragment Box on Box{x y width height}fragment Receipt on Receipt{requestId model version compression device images units cachedImages replayed batchSize timings{totalMs decodeMs queueMs inferenceMs postprocessMs}quota{...Quota}}fragment Quota on QuotaState{meter limit used reserved remaining resetsAt}",
};
export const Segment = {
    text: "mutation Segment($input:SegmentInput!$space:CoordinateSpace!$png:Boolean!){segment(input:$input){results{__typename ...on Segmentation{width height segments{label index score areaFraction box(space:$space){...Box}rle png@include(if:$png)}}...on ImageError{code message}}receipt{...Receipt}}}fragment Box on Box{x y width height}fragment Receipt on Receipt{requestId model version compression device images units cachedImages replayed batchSize timings{totalMs decodeMs queueMs inferenceMs postprocessMs}quota{...Quota}}fragment Quota on QuotaState{meter limit used reserved remaining resetsAt}",
};
export const CreateUpload = {
    text: "mutation CreateUpload($input:CreateUploadInput!){createUpload(input:$input){id url expiresAt}}",
};
export const CreateClientToken = {
    text: "mutation CreateClientToken($input:CreateClientTokenInput!){createClientToken(input:$input){token expiresAt}}",
};
export const Viewer = {
    text: "query Viewer{viewer{principal scopes tenant{id name plan{name monthlyUnits hardLimit pointsPerSecond burst concurrency weight}}}}",
};
export const Quota = {
    text: "query Quota{quota{...Quota}}fragment Quota on QuotaState{meter limit used reserved remaining resetsAt}",
};
export const Model = {
    text: "query Model($name:String!$version:Int){model(name:$name version:$version){...Model}}fragment Model on Model{id name version task labels license description inputWidth inputHeight isPublic variants{compression sizeBytes unitsPerImage report{dataset samples accuracyDelta agreement speedup sizeRatio sparsity}}}",
};
export const Models = {
    text: "query Models($first:Int!$after:String$task:Task){models(first:$first after:$after task:$task){totalCount pageInfo{hasNextPage endCursor}edges{node{...Model}}}}fragment Model on Model{id name version task labels license description inputWidth inputHeight isPublic variants{compression sizeBytes unitsPerImage report{dataset samples accuracyDelta agreement speedup sizeRatio sparsity}}}",
};
export const Usage = {
    text: "query Usage($from:DateTime!$to:DateTime!$bucket:UsageBucket!$groupBy:[UsageDimension!]!){usage(from:$from to:$to bucket:$bucket groupBy:$groupBy){start apiKeyId model compression operation requests images units errors p50Ms p95Ms}}",
};
