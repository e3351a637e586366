package blobs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
)

// abortTimeout bounds what is still asked of S3 for an upload whose context has ended.
const abortTimeout = 30 * time.Second

// abortProperly makes a writer to S3 one that takes back what it has uploaded when its context ends. Left to itself it
// would say so in a request of that same context, which is never sent, and S3 would keep the parts.
func abortProperly(bucket *blob.Bucket, as func(any) bool) {
	var client *s3.Client
	var uploader *transfermanager.Client
	if !bucket.As(&client) || !as(&uploader) {
		return
	}
	*uploader = *transfermanager.New(patientClient{client}, func(options *transfermanager.Options) {
		options.PartSizeBytes = partSize
		options.Concurrency = partsAtOnce
		options.RequestChecksumCalculation = client.Options().RequestChecksumCalculation
		options.FailTimeout = abortTimeout
	})
}

// patientClient lets requests end that S3 may have begun to act on, and begins none once the context has ended. A part
// that was cut off could arrive after its upload was aborted, and would stay; an upload whose id never came back could
// not be aborted at all.
type patientClient struct{ *s3.Client }

// CreateMultipartUpload begins an upload.
func (c patientClient) CreateMultipartUpload(
	ctx context.Context, input *s3.CreateMultipartUploadInput, options ...func(*s3.Options),
) (*s3.CreateMultipartUploadOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	patient, cancel := outlive(ctx)
	defer cancel()
	return c.Client.CreateMultipartUpload(patient, input, options...)
}

// UploadPart uploads a part. When the context has ended meanwhile that is an error, and the upload is aborted.
func (c patientClient) UploadPart(
	ctx context.Context, input *s3.UploadPartInput, options ...func(*s3.Options),
) (*s3.UploadPartOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	patient, cancel := outlive(ctx)
	defer cancel()
	output, err := c.Client.UploadPart(patient, input, options...)
	if err == nil {
		err = ctx.Err()
	}
	return output, err
}

// outlive gives a context that goes on for a while when the other has ended.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(abortTimeout):
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// readQuietly keeps the S3 client from warning, at each reading, that what was uploaded in parts has no checksum of the
// whole. It would write that to standard error.
func readQuietly(as func(any) bool) error {
	var options *[]func(*s3.Options)
	if as(&options) {
		*options = append(*options, func(options *s3.Options) { options.DisableLogOutputChecksumValidationSkipped = true })
	}
	return nil
}
